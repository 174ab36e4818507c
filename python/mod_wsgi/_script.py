"""Loading of scripts and the text of exceptions."""

import sys
import types

try:
    from _md5 import md5  # without OpenSSL, which not every application needs
except ImportError:
    from hashlib import md5


def module_name(path):
    """The name under which the script at ``path`` is known."""
    return "_mod_wsgi_" + md5(path.encode("utf-8", "surrogateescape")).hexdigest()


def load(path):
    """Executes the script at ``path`` as a module of its own; returns its globals."""
    with open(path, "rb") as script:
        source = script.read()
    module = types.ModuleType(module_name(path))
    module.__file__ = path
    code = compile(source, path, "exec", dont_inherit=True)
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        sys.modules.pop(module.__name__, None)
        raise
    return module.__dict__


def stack(thread):
    """Where the thread of this number is, as UTF-8."""
    import traceback
    frame = sys._current_frames().get(thread)
    lines = traceback.format_stack(frame) if frame else []
    return "".join(lines).encode("utf-8", "backslashreplace")


def describe(error, frames=None):
    """The traceback of ``error`` and of what caused it, as UTF-8; ``frames`` if
    the exception was never caught by Python code and does not have them yet."""
    import traceback  # which not every process needs
    lines = traceback.format_exception(type(error), error, frames or error.__traceback__)
    return "".join(lines).encode("utf-8", "backslashreplace")
