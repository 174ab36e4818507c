"""What a WSGI application can know of its server, and tell it.

Importable inside a daemon process only. It stands in front of the package of this name on
PyPI, whose submodules stay importable.
"""

import os
import sys
import time

from mod_wsgi._file import FileWrapper

__all__ = [
    "FileWrapper", "LogHandler", "RequestTimeout", "active_requests", "application_group",
    "maximum_processes", "process_group", "process_metrics", "request_data", "request_metrics",
    "server_metrics", "start_recording_metrics", "subscribe_events", "subscribe_shutdown",
    "subscribe_signals", "threads_per_process", "version",
]

version = (0, 0, 0)
process_group = ""
application_group = ""
maximum_processes = 1
threads_per_process = 1
_started = time.time()

event_callbacks = []
shutdown_callbacks = []
signal_callbacks = []


class RequestTimeout(BaseException):
    """Raised in the application when a request exceeds its time limit; no
    subclass of Exception, so that a general handler does not swallow it."""


def subscribe_events(callback):
    """Has ``callback(name, **event)`` called for the events of requests:
    ``request_started``, ``response_started``, ``request_exception`` and
    ``request_finished``. A dict that it returns is added to the event for the
    callbacks after it. Returns the callback, so that it decorates one."""
    event_callbacks.append(callback)
    return callback


def subscribe_shutdown(callback):
    """Has ``callback('process_stopping', shutdown_reason=...)`` called at the end
    of the process, after its last request. Returns the callback."""
    shutdown_callbacks.append(callback)
    return callback


def subscribe_signals(callback):
    """Has ``callback('process_signal', signame=..., signum=...)`` called for
    SIGHUP and SIGUSR2, in the main thread. Returns the callback."""
    signal_callbacks.append(callback)
    return callback


def request_data():
    """The dict that belongs to the calling thread's request, for whatever shall
    last as long. RuntimeError outside of a request."""
    return _worker.request_data()


class _ActiveRequests(object):
    """Read-only mapping of request identifiers to the dicts of ``request_data``,
    made when somebody looks."""

    def __getitem__(self, request_id):
        return _worker.active_requests()[request_id]

    def __contains__(self, request_id):
        return request_id in _worker.active_requests()

    def __iter__(self):
        return iter(_worker.active_requests())

    def __len__(self):
        return len(_worker.active_requests())

    def __repr__(self):
        return repr(_worker.active_requests())

    def get(self, request_id, default=None):
        return _worker.active_requests().get(request_id, default)

    def keys(self):
        return _worker.active_requests().keys()

    def values(self):
        return _worker.active_requests().values()

    def items(self):
        return _worker.active_requests().items()


active_requests = _ActiveRequests()


def start_recording_metrics():
    """Begins to count and to time this process's requests, for
    ``request_metrics`` and ``process_metrics``. A second call does nothing."""
    from mod_wsgi import _metrics
    _metrics.start()


def request_metrics():
    """What this process has served since the last call, as a dict; None before
    ``start_recording_metrics``."""
    from mod_wsgi import _metrics
    return _metrics.requests()


def process_metrics():
    """Time, memory and requests of this process since the recording began, as a
    dict; None before ``start_recording_metrics``."""
    from mod_wsgi import _metrics
    return _metrics.process()


def server_metrics():
    """What each thread of each child of httpd does, as a dict; None unless
    ``server-metrics`` (WSGIServerMetrics for the empty process group) is On, or if no
    child of httpd answers."""
    from mod_wsgi import _scoreboard
    return _scoreboard.read()


def _log_handler():
    # Most daemons never log through it: logging is imported for those that do.
    from mod_wsgi._logging import LogHandler
    return globals().setdefault("LogHandler", LogHandler)


def __getattr__(name):
    if name == "LogHandler":
        return _log_handler()
    raise AttributeError("module 'mod_wsgi' has no attribute %r" % name)


class _NoWorker(object):
    def __getattr__(self, name):
        raise RuntimeError("no active request for thread")


# What the worker of this process does for the functions above: ``log(level, bytes)``,
# ``request_data()``, ``active_requests()``, ``running()`` and ``observe()``.
_worker = _NoWorker()


def _configure(worker, start):
    """Fills in what the supervisor said, and provides the module ``apache``."""
    global _worker, version, process_group, application_group
    global maximum_processes, threads_per_process
    _worker = worker
    version = start["version"]
    process_group = start["process_group"]
    application_group = start["application_group"]
    maximum_processes = start["processes"]
    threads_per_process = start["threads"]
    if sys.version_info < (3, 7):
        _log_handler()  # nobody calls the __getattr__ of a module
    apache = type(sys)("apache", "What a WSGI application can know of Apache httpd.")
    apache.version = start["apache_version"]
    apache.description = "Apache/%d.%d.%d" % start["apache_version"]
    apache.build_date = ""
    apache.mpm_name = start["mpm_name"]
    apache.maximum_processes = start["mpm_processes"]
    apache.threads_per_process = start["mpm_threads"]
    sys.modules["apache"] = apache


def _extend_path():
    """Makes the submodules of the package of this name on PyPI importable."""
    for directory in sys.path:
        other = os.path.join(directory, __name__)
        if other not in __path__ and os.path.isfile(os.path.join(other, "__init__.py")):
            __path__.append(other)
