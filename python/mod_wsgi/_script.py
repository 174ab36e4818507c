"""Loading of scripts and the text of exceptions."""

import sys
import types

try:
    from _md5 import md5  # without OpenSSL, which not every application needs
except ImportError:
    from hashlib import md5

import mod_wsgi

_ERROR = 3

# Python 2 empties a module that nobody refers to, whoever runs its functions.
_modules = []


def module_name(path):
    """The name under which the script at ``path`` is known."""
    if not isinstance(path, bytes):
        path = path.encode("utf-8", "surrogateescape")
    return "_mod_wsgi_" + md5(path).hexdigest()


def load(path):
    """Executes the script at ``path`` as a module of its own; returns its globals."""
    with open(path, "rb") as script:
        source = script.read()
    if str is bytes:
        # Python 2 compiles neither "\r\n" nor a last line without an end.
        source = source.replace(b"\r\n", b"\n") + b"\n"
    module = types.ModuleType(module_name(path))
    module.__file__ = path
    code = compile(source, path, "exec", dont_inherit=True)
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        sys.modules.pop(module.__name__, None)
        raise
    if str is bytes:
        _modules.append(module)
    return module.__dict__


def stack(thread):
    """Where the thread of this number is, as UTF-8."""
    import traceback
    frame = sys._current_frames().get(thread)
    return encode("".join(traceback.format_stack(frame) if frame else []))


def describe(error, frames=None):
    """The traceback of ``error`` and of what caused it, as UTF-8; ``frames`` if
    the exception was never caught by Python code and does not have them yet."""
    import traceback  # which not every process needs
    frames = frames or getattr(error, "__traceback__", None) or sys.exc_info()[2]
    return encode("".join(traceback.format_exception(type(error), error, frames)))


def encode(text):
    """Bytes for the log: UTF-8 of text, bytes as they are."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")


def report(message, error):
    """Logs an error with the traceback of its cause below it."""
    mod_wsgi._worker.log(_ERROR, encode(message) + b"\n" + describe(error))
