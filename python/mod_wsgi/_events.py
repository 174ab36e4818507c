"""Events of requests: what the callbacks of ``subscribe_events`` are told, and what
the metrics are made of.

The worker calls these functions while somebody listens or metrics are recorded, on
the thread of the request. What a callback returns as a dict is added to the event
for the next ones.
"""

import threading
import time

import mod_wsgi
from mod_wsgi import _metrics, _script

_local = threading.local()


def _publish(name, event):
    """Calls every subscriber; the failure of one is its own."""
    for callback in list(mod_wsgi.event_callbacks):
        try:
            result = callback(name, **event)
            if isinstance(result, dict):
                event.update(result)
        except mod_wsgi.RequestTimeout:
            raise
        except BaseException as error:
            _script.report("MWR3110: exception in the callback %r for %s" % (callback, name), error)
    return event


def started(environ, application):
    """Announces a request; returns the application that a callback may have put
    in the place of the given one."""
    _local.request = request = {
        "request_id": environ.get("mod_wsgi.request_id"),
        "thread_id": environ["mod_wsgi.thread_id"],
        "server_pid": environ.get("mod_wsgi.server_pid"),
        "request_start": environ["mod_wsgi.request_start"],
        "queue_start": environ["mod_wsgi.queue_start"],
        "daemon_start": environ["mod_wsgi.daemon_start"],
    }
    _local.start = environ["mod_wsgi.application_start"]
    _local.status = None
    if mod_wsgi.event_callbacks:
        application = _publish("request_started", dict(
            request, daemon_connects=1, daemon_restarts=0,
            application_start=_local.start, callable_object=environ["mod_wsgi.callable_object"],
            application_object=application, request_environ=environ,
            request_data=mod_wsgi.request_data()))["application_object"]
    _local.cpu = _metrics.thread_times()
    return application


def response_started(status, headers, exception_info):
    """Announces what ``start_response`` was called with."""
    request = getattr(_local, "request", None)
    if request is None:
        return
    _local.status = int(status[:3])
    if mod_wsgi.event_callbacks:
        _publish("response_started", {
            "request_id": request["request_id"], "response_status": status,
            "response_headers": headers, "exception_info": exception_info,
            "request_data": mod_wsgi.request_data()})


def exception(error):
    """Announces an exception that the application did not catch."""
    request = getattr(_local, "request", None)
    if request is not None and mod_wsgi.event_callbacks:
        _publish("request_exception", {
            "request_id": request["request_id"],
            "exception_info": (type(error), error, getattr(error, "__traceback__", None)),
            "request_data": mod_wsgi.request_data()})


def finished(failure, measures):
    """Announces the end of a request: the HTTP status of a failure or None, and what
    the worker has measured, by the names of the event."""
    request = getattr(_local, "request", None)
    if request is None:
        return
    _local.request = None
    now, cpu = time.time(), _metrics.thread_times()
    user, system = cpu[0] - _local.cpu[0], cpu[1] - _local.cpu[1]
    event = dict(
        request, application_finish=now, application_time=max(0.0, now - _local.start),
        cpu_user_time=user, cpu_system_time=system, cpu_time=user + system,
        status=failure or _local.status or 500)
    event.update(measures)
    _metrics.record(event, _local.start)
    if mod_wsgi.event_callbacks:
        _publish("request_finished", dict(event, request_data=mod_wsgi.request_data()))
