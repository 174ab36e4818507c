"""What applications can know of their server and tell it."""

import os
import sys

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

event_callbacks = []
shutdown_callbacks = []
signal_callbacks = []


class RequestTimeout(BaseException):
    """Raised in the application when a request exceeds its time limit; no
    subclass of Exception, so that a general handler does not swallow it."""


def subscribe_events(callback):
    """Has ``callback(name, **event)`` called for the events of requests."""
    event_callbacks.append(callback)
    return callback


def subscribe_shutdown(callback):
    """Has ``callback('process_stopping', shutdown_reason=...)`` called at the end."""
    shutdown_callbacks.append(callback)
    return callback


def subscribe_signals(callback):
    """Has ``callback('process_signal', signame=..., signum=...)`` called for
    SIGHUP and SIGUSR2, in the main thread."""
    signal_callbacks.append(callback)
    return callback


def request_data():
    """The dict that belongs to the calling thread's request."""
    return _native.request_data()


class _ActiveRequests(object):
    """Read-only mapping of request identifiers to the dicts of ``request_data``,
    made when somebody looks."""

    def __getitem__(self, request_id):
        return _native.active_requests()[request_id]

    def __contains__(self, request_id):
        return request_id in _native.active_requests()

    def __iter__(self):
        return iter(_native.active_requests())

    def __len__(self):
        return len(_native.active_requests())

    def __repr__(self):
        return repr(_native.active_requests())

    def get(self, request_id, default=None):
        return _native.active_requests().get(request_id, default)

    def keys(self):
        return _native.active_requests().keys()

    def values(self):
        return _native.active_requests().values()

    def items(self):
        return _native.active_requests().items()


active_requests = _ActiveRequests()


def start_recording_metrics():
    """Accepted; nothing is recorded."""


def request_metrics():
    """None: nothing is recorded."""


def process_metrics():
    """None: nothing is recorded."""


def server_metrics():
    """None: nothing is recorded."""


def __getattr__(name):
    # Most daemons never log through it: logging is imported for those that do.
    if name == "LogHandler":
        from mod_wsgi._logging import LogHandler
        globals()[name] = LogHandler
        return LogHandler
    raise AttributeError("module 'mod_wsgi' has no attribute %r" % name)


class _NoWorker(object):
    def __getattr__(self, name):
        raise RuntimeError("no active request for thread")


_native = _NoWorker()


def _configure(native, start):
    """Fills in what the supervisor said, and provides the module ``apache``."""
    global _native, version, process_group, application_group
    global maximum_processes, threads_per_process
    _native = native
    version = start["version"]
    process_group = start["process_group"]
    application_group = start["application_group"]
    maximum_processes = start["processes"]
    threads_per_process = start["threads"]
    apache = type(sys)("apache", "What applications can know of Apache httpd.")
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
