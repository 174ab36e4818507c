"""Signals of a daemon: those that end it, and those left to the application."""

import faulthandler
import functools
import os
import signal
import threading

import mod_wsgi

_INFO = 6
_RECYCLE = {
    signal.SIGTERM: "shutdown_signal",
    signal.SIGINT: "shutdown_signal",
    signal.SIGUSR1: "graceful_signal",
    signal.SIGXCPU: "cpu_time_limit",
}
_EVENTS = (signal.SIGHUP, signal.SIGUSR2)


def install(native):
    """Answers signals to the daemon, in the main thread."""
    def recycle(number, frame):
        native.recycle(_RECYCLE[number])

    def event(number, frame):
        for callback in list(mod_wsgi.signal_callbacks):
            mod_wsgi._daemon.notify(native, callback, "process_signal",
                                    signame=signal.Signals(number).name, signum=int(number))

    descriptor = native.wakeup()
    os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    for number in _RECYCLE:
        signal.signal(number, recycle)
    for number in _EVENTS:
        signal.signal(number, event)
    _watch_forks(native, signal.signal)


def serve_for_ever():
    """Lets SIGTERM end a script that runs as long as its process."""
    def leave(number, frame):
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)


def _watch_forks(native, set_handler):
    """Makes a process that the application forks an ordinary one. Its signals
    wait until then: Python forgets those that come between fork and now."""
    local = threading.local()

    def before():
        local.mask = signal.pthread_sigmask(signal.SIG_BLOCK, tuple(_RECYCLE) + _EVENTS)

    def after_in_parent():
        signal.pthread_sigmask(signal.SIG_SETMASK, local.mask)

    def after_in_child():
        native.set_forked()
        faulthandler.unregister(signal.SIGQUIT)
        signal.set_wakeup_fd(-1)
        for number in tuple(_RECYCLE) + _EVENTS:
            set_handler(number, signal.SIG_DFL)
        set_handler(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, local.mask)

    os.register_at_fork(before=before, after_in_parent=after_in_parent,
                        after_in_child=after_in_child)


def restrict(native):
    """Makes ``signal.signal`` a no-op: a handler of the application's would take
    the place of the daemon's own. Processes that it forks are free."""
    set_handler, process = signal.signal, os.getpid()

    @functools.wraps(set_handler)
    def ignore(signalnum, handler):
        if os.getpid() != process:
            return set_handler(signalnum, handler)
        import traceback  # which not every process needs
        stack = "".join(traceback.format_stack()[:-1])
        native.log(_INFO, ("MWR3033: callback registration for signal %d ignored; "
                           "WSGIRestrictSignal Off permits it\n%s"
                           % (signalnum, stack)).encode("utf-8", "backslashreplace"))
        return handler

    signal.signal = ignore
