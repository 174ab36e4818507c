"""Requests that run too long: where they are, and an exception for them.

*Threads:* the main thread interrupts, the worker thread runs.
"""

import sys
import threading
import time
import traceback

import mod_wsgi
from mod_wsgi_pure import log, native, records

try:
    from __pypy__.thread import _raise_in_thread
except ImportError:
    _raise_in_thread = None

# Seconds in which an exception that is on its way arrives.
_ARRIVAL = 0.1


# Longest stack that is told, in characters.
LONGEST_STACK = 16 * 1024


def _raise(ident, error):
    """Raises a class of exception in a thread."""
    if _raise_in_thread is not None:
        _raise_in_thread(ident, error)
    else:
        _set_exception(ident, error)


def _take_back(ident):
    """Has an exception that did not arrive yet not arrive at all."""
    if _raise_in_thread is None:
        return _set_exception(ident, None)
    # PyPy can't: it arrives here.
    try:
        end = time.time() + _ARRIVAL
        while time.time() < end:
            pass
    except mod_wsgi.RequestTimeout:
        pass


def _set_exception(ident, error):
    import ctypes
    if native.PYTHON_2:
        number = ctypes.c_long(ident)
    else:
        number = ctypes.c_ulong(ident)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(number, error and ctypes.py_object(error))


class Limit(object):
    """The request of one worker thread."""

    def __init__(self, number):
        self._number, self._lock = number, threading.Lock()
        self._request_id = self._ident = None
        self._began, self._interrupted = 0.0, False

    def begin(self, request_id):
        self._ident = threading.current_thread().ident
        self._began, self._request_id = time.time(), request_id

    def end(self):
        """An exception that did not arrive does not reach the next request."""
        with self._lock:
            self._request_id = None
            interrupted, self._interrupted = self._interrupted, False
        if interrupted:
            _take_back(self._ident)

    def interrupt(self, age, raises):
        """Logs where the request is if it has run for ``age`` milliseconds, and
        raises ``mod_wsgi.RequestTimeout`` in it if asked to."""
        with self._lock:
            request_id, ran = self._request_id, time.time() - self._began
            if request_id is None or ran * 1000 < age:
                return
            if raises:
                self._interrupted = True
                _raise(self._ident, mod_wsgi.RequestTimeout)
        stack = self._stack()
        log.write(records.WARNING, "MWR3050: request %s on channel %d has run for %.1f s, "
                  "longer than request-timeout, and %s; it is at\n%s" % (
                      request_id, self._number + 1, ran,
                      "is interrupted" if raises else "holds a thread", stack))

    def trace(self, age):
        """Where the request is if it has run for ``age`` milliseconds, else nothing;
        what is cut off of a long stack is the outermost."""
        with self._lock:
            if self._request_id is None or (time.time() - self._began) * 1000 < age:
                return ""
        return self._stack()[-LONGEST_STACK:]

    def _stack(self):
        frame = sys._current_frames().get(self._ident)
        return "".join(traceback.format_stack(frame)) if frame else ""
