"""The application's scripts: loaded once, found again for each request.

*Threads:* any; imports wait for each other.
"""

import sys
import threading
import types
from hashlib import md5

from mod_wsgi_pure import log, native, records

# Modules of the scripts that were loaded, by path. Python 2 empties a module that
# nobody refers to, and an application may remove its own from sys.modules.
_loaded = {}
_loading = threading.RLock()


def find(path):
    """The globals of the script at ``path`` (bytes), which is loaded if it was not.
    None if that failed, which was logged and will be tried again."""
    if path not in _loaded:
        with _loading:
            if path not in _loaded:
                _try(path)
    module = _loaded.get(path)
    return module.__dict__ if module else None


def _try(path):
    shown = native.path(path)
    log.write(records.INFO, "MWR3010: loading script %s" % shown)
    try:
        _loaded[path] = _load(path)
    except SystemExit:
        log.exception(records.ERROR, "MWR3012: script %s raised SystemExit while it was loaded; a "
                      "WSGI script must not exit" % shown)
    except BaseException:
        log.exception(records.ERROR, "MWR3011: script %s could not be loaded" % shown)


def _load(path):
    """Executes the script as a module of its own, which it returns."""
    with open(path, "rb") as script:
        # Python 2 compiles neither "\r\n" nor a last line without an end.
        source = script.read().replace(b"\r\n", b"\n") + b"\n"
    module = types.ModuleType("_mod_wsgi_" + md5(path).hexdigest())
    module.__file__ = native.path(path)
    code = compile(source, module.__file__, "exec", dont_inherit=True)
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        sys.modules.pop(module.__name__, None)
        raise
    return module
