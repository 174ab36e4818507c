"""What the package ``mod_wsgi``, which both workers share, needs of this one."""

import threading
import time

import mod_wsgi
from mod_wsgi import _script
from mod_wsgi_pure import log

_current = threading.local()


class Running(object):
    """A request that runs."""

    def __init__(self, request_id, thread):
        self.request_id, self.thread = request_id, thread
        self.data, self.began = {}, time.time()


# By the index of the worker thread.
_running = {}
_is_observed = False


class _Worker(object):
    """The functions by which ``mod_wsgi`` knows its worker."""

    @staticmethod
    def log(level, data):
        log.write(level, data)

    @staticmethod
    def request_data():
        request = getattr(_current, "request", None)
        if request is None:
            raise RuntimeError("no active request for thread")
        return request.data

    @staticmethod
    def active_requests():
        return dict((request.request_id, request.data) for request in list(_running.values()))

    @staticmethod
    def running():
        now = time.time()
        return dict((number, max(0.0, now - request.began))
                    for number, request in list(_running.items()))

    @staticmethod
    def observe():
        global _is_observed
        _is_observed = True


def begin_request(request_id, thread):
    """Notes that the calling thread, number ``thread``, runs a request."""
    _current.request = _running[thread] = Running(request_id, thread)


def end_request():
    request, _current.request = _current.request, None
    _running.pop(request.thread, None)


def is_observed():
    """Whether somebody wants to know of requests."""
    return _is_observed or mod_wsgi.event_callbacks


def announce(name, *arguments):
    """Tells those who listen of an event, by a function of ``mod_wsgi._events``."""
    from mod_wsgi import _events
    return getattr(_events, name)(*arguments)


def notify(callback, name, **event):
    """Calls a subscriber, whose failure is its own."""
    try:
        callback(name, **event)
    except BaseException as error:
        _script.report("MWR3034: exception in the callback %r for %s" % (callback, name), error)


def version(text):
    """The three numbers of a version."""
    numbers = [int(part) if part.isdigit() else 0
               for part in text.replace("-", ".").replace("+", ".").split(".")]
    return tuple((numbers + [0, 0, 0])[:3])


def publish(start):
    """Makes the modules what the supervisor said."""
    mod_wsgi._configure(_Worker, dict(
        start, version=version(start["version"]),
        apache_version=version(start["apache_version"])))
