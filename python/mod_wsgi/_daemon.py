"""The life of a daemon, told by its main thread.

The native module does what is named by its functions; everything that happens
once in a process's life and is easier to say in Python is said here.
"""

import atexit
import faulthandler
import os
import signal
import site
import sys
import threading

import mod_wsgi
from mod_wsgi import _script, _signals, _streams

_ERROR, _WARNING, _INFO = 3, 4, 6


def run(native, descriptor):
    """Serves until the supervisor says stop. Does not return."""
    faulthandler.enable(file=2)
    # Asked for by the supervisor before it kills the process.
    faulthandler.register(signal.SIGQUIT, file=2, all_threads=True, chain=False)
    os.set_inheritable(descriptor, False)
    start = native.connect(descriptor)
    if start["display_name"]:
        _set_title(native, start["display_name"])
    _streams.replace(native, start["restrict_stdin"], start["restrict_stdout"])
    mod_wsgi._configure(native, start)
    _set_path(native, start["home"], start["python_path"])
    if start["locale"]:
        _set_locale(native, start["locale"])
    if start["switch_interval"] > 0:
        sys.setswitchinterval(start["switch_interval"])
    _signals.install(native)
    if start["threads"] == 0:
        _signals.serve_for_ever()
    if start["restrict_signal"]:
        _signals.restrict(native)
    _start_threads(native, start["threads"], start["stack_size"])
    try:
        if native.accept_channels():
            native.ready(native.preload())
        reason = native.wait_for_stop()
        native.drain()
    except SystemExit:  # of a process without worker threads
        reason = "shutdown_signal"
    _stop(native, reason)


def notify(native, callback, name, **event):
    """Calls a subscriber, whose failure is its own."""
    try:
        callback(name, **event)
    except BaseException as error:
        _log(native, _ERROR, "MWR3034: exception in the callback %r for %s\n%s"
             % (callback, name, _script.describe(error).decode("utf-8")))


def _log(native, level, message):
    native.log(level, message.encode("utf-8", "backslashreplace"))


def _set_title(native, title):
    try:
        native.set_title(title)
    except OSError as error:
        _log(native, _WARNING, "MWR3032: display-name %r can't be shown: %s" % (title, error))


def _set_path(native, home, python_path):
    """``home`` comes first, then ``python_path`` in order, each with what its
    ``.pth`` files add; then what was there."""
    before = list(sys.path)
    for directory in python_path:
        _log(native, _INFO, "MWR3030: adding %r to the module search path" % directory)
        if directory in sys.path:
            sys.path.remove(directory)
        site.addsitedir(directory)
        if directory not in sys.path:
            sys.path.append(directory)
    added = [path for path in sys.path if path not in before or path in python_path]
    rest = [path for path in sys.path if path not in added]
    sys.path[:] = ([home] if home else []) + added + rest
    mod_wsgi._extend_path()


def _set_locale(native, name):
    import locale
    try:
        locale.setlocale(locale.LC_ALL, name)
    except locale.Error as error:
        _log(native, _WARNING, "MWR3031: locale %r can't be set: %s; install it, or name one that "
             "'locale -a' lists" % (name, error))


def _start_threads(native, count, stack_size):
    if stack_size:
        try:
            threading.stack_size(stack_size)
        except ValueError as error:
            _log(native, _WARNING, "MWR3035: stack-size %d can't be set: %s" % (stack_size, error))
    for index in range(count):
        thread = threading.Thread(
            target=_work, args=(native, index), name="mod_wsgi-%d" % (index + 1), daemon=True)
        thread.start()
    threading.stack_size(0)


def _work(native, index):
    while True:
        try:
            native.work(index)
        except BaseException as error:
            _log(native, _ERROR, "MWR3004: worker thread %d failed and waits for a new channel\n%s"
                 % (index + 1, _script.describe(error).decode("utf-8")))


def _stop(native, reason):
    """Ends the process as Python does, but for threads that serve no more."""
    for callback in list(mod_wsgi.shutdown_callbacks):
        notify(native, callback, "process_stopping", shutdown_reason=reason)
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException as error:
        _log(native, _ERROR, "MWR3036: exception while the process was stopping\n%s"
             % _script.describe(error).decode("utf-8"))
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # a restricted stream, or one of the application's
    os._exit(0)
