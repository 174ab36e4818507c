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


def _raise(ident, error):
    """Raises a class of exception in a thread, None to take it back."""
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
        if interrupted and _raise_in_thread is None:
            _raise(self._ident, None)

    def interrupt(self, age, raises):
        """Logs where the request is if it has run for ``age`` milliseconds, and
        raises ``mod_wsgi.RequestTimeout`` in it if asked to."""
        with self._lock:
            request_id, ran = self._request_id, time.time() - self._began
            if request_id is None or ran * 1000 < age:
                return
            # PyPy can't take it back, so that it might reach another request.
            raises = raises and _raise_in_thread is None
            if raises:
                self._interrupted = True
                _raise(self._ident, mod_wsgi.RequestTimeout)
        stack = "".join(traceback.format_stack(sys._current_frames().get(self._ident)))
        log.write(records.WARNING, "MWR3050: request %s of worker thread %d has run for %.1f s, "
                  "longer than request-timeout, and %s; it is at\n%s" % (
                      request_id, self._number + 1, ran,
                      "is interrupted" if raises else "holds a thread", stack))
