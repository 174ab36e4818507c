"""The modules ``mod_wsgi`` and ``apache``: what applications can know of their
server and tell it."""

import logging
import os
import sys
import threading

from mod_wsgi_pure import log, question, records

_current = threading.local()


class FileWrapper(object):
    """``wsgi.file_wrapper``: iterates over a file in blocks. Returned by the
    application as it is, it lets httpd send a regular file by itself."""

    def __init__(self, filelike, blksize=8192):
        self.filelike, self.blksize = filelike, blksize

    def __iter__(self):
        return self

    def __next__(self):
        block = self.filelike.read(self.blksize)
        if block:
            return block
        raise StopIteration

    next = __next__

    def close(self):
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()


class LogHandler(logging.Handler):
    """Writes to httpd's error log at the level of the record: to the log of the
    request that the thread runs, else to that of the process group."""

    levels = ((logging.CRITICAL, records.CRITICAL), (logging.ERROR, records.ERROR),
              (logging.WARNING, records.WARNING), (logging.INFO, records.INFO))

    def emit(self, record):
        try:
            text = self.format(record)
            found = [level for least, level in self.levels if record.levelno >= least]
            log.write(found[0] if found else records.DEBUG, text)
        except Exception:  # as logging wants it: a message must not break its sender
            self.handleError(record)


class RequestTimeout(BaseException):
    """Raised in the application when a request exceeds its time limit; no
    subclass of Exception, so that a general handler does not swallow it."""


event_callbacks, shutdown_callbacks, signal_callbacks = [], [], []
# The dicts of ``request_data`` by request identifier.
active_requests = {}


def subscribe_events(callback):
    """Accepted; this worker has no events of requests."""
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
    data = getattr(_current, "data", None)
    if data is None:
        raise RuntimeError("no active request for thread")
    return data


def start_recording_metrics():
    """Accepted; nothing is recorded."""


def request_metrics():
    """None: nothing is recorded."""


def process_metrics():
    """None: nothing is recorded."""


def server_metrics():
    """None: nothing is recorded."""


_PUBLIC = [
    FileWrapper, LogHandler, RequestTimeout, subscribe_events, subscribe_shutdown,
    subscribe_signals, request_data, start_recording_metrics, request_metrics, process_metrics,
    server_metrics]


def begin_request(request_id):
    """Gives the calling thread's request a dict."""
    _current.data = active_requests[request_id] = {}


def end_request(request_id):
    _current.data = None
    active_requests.pop(request_id, None)


def notify(callback, name, **event):
    """Calls a subscriber, whose failure is its own."""
    try:
        callback(name, **event)
    except BaseException:
        log.exception(records.ERROR, "MWR3034: exception in the callback %r for %s"
                      % (callback, name))


def version(text):
    """The three numbers of a version."""
    numbers = [int(part) if part.isdigit() else 0
               for part in text.replace("-", ".").replace("+", ".").split(".")]
    return tuple((numbers + [0, 0, 0])[:3])


def publish(start):
    """Makes the modules importable; ``start`` is what the supervisor said."""
    module = type(sys)("mod_wsgi", "What applications can know of their server and tell it.")
    for item in _PUBLIC:
        item.__module__ = "mod_wsgi"
        setattr(module, item.__name__, item)
    module.__all__ = sorted([item.__name__ for item in _PUBLIC] + [
        "active_requests", "application_group", "maximum_processes", "process_group",
        "threads_per_process", "version"])
    module.event_callbacks = event_callbacks
    module.shutdown_callbacks = shutdown_callbacks
    module.signal_callbacks = signal_callbacks
    module.active_requests = active_requests
    module.version = version(start["version"])
    module.process_group = start["process_group"]
    module.application_group = start["application_group"]
    module.maximum_processes = start["processes"]
    module.threads_per_process = start["threads"]
    # Named by the script that asks access scripts.
    module._native, module._script = question.Native, question.Script
    sys.modules["mod_wsgi"] = module
    apache = type(sys)("apache", "What applications can know of Apache httpd.")
    apache.version = version(start["apache_version"])
    apache.description = "Apache/%d.%d.%d" % apache.version
    apache.build_date = ""
    apache.mpm_name = start["mpm_name"]
    apache.maximum_processes = start["mpm_processes"]
    apache.threads_per_process = start["mpm_threads"]
    sys.modules["apache"] = apache


def extend_path():
    """Makes the submodules of the package of this name on PyPI importable."""
    sys.modules["mod_wsgi"].__path__ = [
        other for other in (os.path.join(directory, "mod_wsgi") for directory in sys.path)
        if os.path.isfile(os.path.join(other, "__init__.py"))]
