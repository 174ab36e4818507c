"""Signals of a daemon: those that end it, and those left to the application.

*Threads:* the main thread.
"""

import fcntl
import functools
import os
import signal
import sys
import threading
import traceback

import mod_wsgi
from mod_wsgi_pure import api, log, records, sockets

try:
    import faulthandler
except ImportError:
    faulthandler = None  # Python 2
try:
    import __pypy__
except ImportError:
    __pypy__ = None

_RECYCLE = {
    signal.SIGTERM: "shutdown_signal",
    signal.SIGINT: "shutdown_signal",
    signal.SIGUSR1: "graceful_signal",
    signal.SIGXCPU: "cpu_time_limit",
}
_EVENTS = {signal.SIGHUP: "SIGHUP", signal.SIGUSR2: "SIGUSR2"}
_ALL = list(_RECYCLE) + list(_EVENTS)
_set_handler = signal.signal

if hasattr(signal, "pthread_sigmask"):
    def _block(numbers):
        return signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def _restore(mask):
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
else:
    from mod_wsgi_pure.libc import block_signals as _block, restore_signals as _restore


def install(recycle):
    """Answers signals to the daemon: ``recycle(reason)`` for those that end it.
    Returns a descriptor that is readable when one has come."""
    process = os.getpid()

    def answer(number, frame):
        if os.getpid() != process:
            # A process that the application forked: it is an ordinary one.
            _set_handler(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif number in _RECYCLE:
            recycle(_RECYCLE[number])
        else:
            for callback in list(mod_wsgi.signal_callbacks):
                api.notify(callback, "process_signal", signame=_EVENTS[number],
                           signum=int(number))

    awoken, waker = os.pipe()
    for descriptor in (awoken, waker):
        sockets.close_on_exec(descriptor)
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    signal.set_wakeup_fd(waker)
    for number in _ALL:
        _set_handler(number, answer)
    _watch_forks()
    return awoken


def serve_for_ever():
    """Lets SIGTERM end a script that runs as long as its process."""
    def leave(number, frame):
        raise SystemExit(0)

    _set_handler(signal.SIGTERM, leave)


def show_stacks_on_quit():
    """The supervisor asks for the stacks of all threads before it kills the process."""
    if faulthandler is not None:
        faulthandler.register(signal.SIGQUIT, file=2, all_threads=True, chain=False)
        return

    def show(number, frame):
        for thread, frame in sys._current_frames().items():
            os.write(2, "Thread %d:\n%s" % (thread, "".join(traceback.format_stack(frame))))

    _set_handler(signal.SIGQUIT, show)


def _watch_forks():
    """Makes a process that the application forks an ordinary one. Its signals
    wait until then: Python forgets those that come between fork and now."""
    local = threading.local()

    def before():
        local.mask = _block(_ALL)

    def unmask():
        _restore(local.mask)

    def after_in_child():
        if __pypy__ is not None:
            # Else it leaves signals to the thread that was the main one before.
            __pypy__.thread.signals_enabled.__enter__()
        signal.set_wakeup_fd(-1)
        for number in _ALL:
            _set_handler(number, signal.SIG_DFL)
        if faulthandler is not None:
            faulthandler.unregister(signal.SIGQUIT)
        _set_handler(signal.SIGINT, signal.default_int_handler)
        unmask()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=unmask, after_in_child=after_in_child)
        return
    plain_fork = os.fork

    @functools.wraps(plain_fork)
    def fork():
        before()
        try:
            child = plain_fork()
        except OSError:
            unmask()
            raise
        if child == 0:
            after_in_child()
        else:
            unmask()
        return child

    os.fork = fork


def restrict():
    """Makes ``signal.signal`` a no-op: a handler of the application's would take
    the place of the daemon's own. Processes that it forks are free."""
    process = os.getpid()

    @functools.wraps(_set_handler)
    def ignore(signalnum, handler):
        if os.getpid() != process:
            return _set_handler(signalnum, handler)
        stack = "".join(traceback.format_stack()[:-1])
        log.write(records.INFO, "MWR3033: callback registration for signal %d ignored; "
                  "WSGIRestrictSignal Off permits it\n%s" % (signalnum, stack))
        return handler

    signal.signal = ignore
