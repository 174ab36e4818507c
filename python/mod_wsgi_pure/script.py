"""The application's scripts: loaded once, found again for each request, watched
for changes.

*Threads:* any; imports wait for each other.
"""

import os
import sys
import threading
import time
import types
from hashlib import md5

from mod_wsgi_pure import log, native, records

# Seconds between two questions to a script's own ``reload_required``.
_INTERVAL = 1.0

# The scripts that were loaded, by path.
_loaded = {}
_loading = threading.RLock()


class Script(object):
    """A script that was loaded."""

    def __init__(self, module, seen):
        # Python 2 empties a module that nobody refers to, and an application may
        # remove its own from sys.modules.
        self.module = module
        # What was loaded, or the change that was told last.
        self.seen = seen
        # True if a change matters to some request.
        self.is_watched = False
        self.asked = time.time()


def find(path, watched=False):
    """The globals of the script at ``path`` (bytes), which is loaded if it was not.
    None if that failed, which was logged and will be tried again."""
    if path not in _loaded:
        with _loading:
            if path not in _loaded:
                _try(path)
    script = _loaded.get(path)
    if script is None:
        return None
    script.is_watched = script.is_watched or watched
    return script.module.__dict__


def have_changed():
    """Whether a script that is watched is not what it was; each change is told
    once."""
    changed = False
    for path, script in list(_loaded.items()):
        now = _identity(path) if script.is_watched else None
        # A file that is gone may be about to be replaced.
        if now is not None and now != script.seen:
            changed, script.seen = True, now
    return changed


def ask(path, file):
    """Asks the script's own ``reload_required``, if it has one, whether the process
    shall be replaced."""
    script = _loaded[path]
    question = script.module.__dict__.get("reload_required")
    if question is None or 0 <= time.time() - script.asked < _INTERVAL:
        return
    script.asked = time.time()
    try:
        if question(native.path(file)):
            log.link.recycle("script_reload")
    except Exception:
        log.exception(records.ERROR, "MWR3014: reload_required in %s raised an exception; nothing "
                      "is reloaded" % native.path(path))


def _identity(path):
    """Tells a file from the one that takes its place, or that it is written to."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_mtime


def _try(path):
    shown = native.path(path)
    # Before it is read: a change meanwhile is noticed later.
    seen = _identity(path)
    log.write(records.INFO, "MWR3010: loading script %s" % shown)
    try:
        _loaded[path] = Script(execute(path), seen)
    except SystemExit:
        if log.link.is_service:
            raise
        log.exception(records.ERROR, "MWR3012: script %s raised SystemExit while it was loaded; a "
                      "WSGI script must not exit" % shown)
    except BaseException:
        log.exception(records.ERROR, "MWR3011: script %s could not be loaded" % shown)
    else:
        log.link.loaded(shown)


def execute(path):
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
