"""Events of requests for the callbacks of ``subscribe_events``.

The worker calls these functions while there are callbacks, on the thread of the
request. What a callback returns as a dict is added to the event for the next ones.
"""

import threading
import time

import mod_wsgi
from mod_wsgi import _script

_ERROR = 3

_thread_time = getattr(time, "thread_time", lambda: 0.0)
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
            text = "MWR3110: exception in the callback %r for %s\n%s" % (
                callback, name, _script.describe(error).decode("utf-8"))
            mod_wsgi._native.log(_ERROR, text.encode("utf-8", "backslashreplace"))
    return event


def started(environ, application):
    """Announces a request; returns the application that a callback may have put
    in the place of the given one."""
    _local.request = {
        "request_id": environ.get("mod_wsgi.request_id"),
        "thread_id": environ["mod_wsgi.thread_id"],
        "server_pid": environ.get("mod_wsgi.server_pid"),
        "request_start": environ["mod_wsgi.request_start"],
        "queue_start": environ["mod_wsgi.queue_start"],
        "daemon_start": environ["mod_wsgi.daemon_start"],
    }
    _local.start = environ["mod_wsgi.application_start"]
    _local.cpu = _thread_time()
    _local.status = None
    event = _publish("request_started", dict(
        _local.request, daemon_connects=1, daemon_restarts=0,
        application_start=_local.start, callable_object=environ["mod_wsgi.callable_object"],
        application_object=application, request_environ=environ,
        request_data=mod_wsgi.request_data()))
    return event["application_object"]


def response_started(status, headers, exception_info):
    """Announces what ``start_response`` was called with."""
    request = getattr(_local, "request", None)
    if request is not None:
        _local.status = int(status[:3])
        _publish("response_started", {
            "request_id": request["request_id"], "response_status": status,
            "response_headers": headers, "exception_info": exception_info,
            "request_data": mod_wsgi.request_data()})


def exception(error):
    """Announces an exception that the application did not catch."""
    request = getattr(_local, "request", None)
    if request is not None:
        _local.status = 500
        _publish("request_exception", {
            "request_id": request["request_id"],
            "exception_info": (type(error), error, getattr(error, "__traceback__", None)),
            "request_data": mod_wsgi.request_data()})


def finished(input_length, output_length):
    """Announces the end of a request. What is not measured is None."""
    request = getattr(_local, "request", None)
    if request is None:
        return
    _local.request = None
    now, cpu = time.time(), _thread_time() - _local.cpu
    _publish("request_finished", dict(
        request, application_finish=now, application_time=now - _local.start,
        input_reads=None, input_length=input_length, input_time=None,
        output_writes=None, output_length=output_length, output_time=None,
        cpu_user_time=None, cpu_system_time=None, cpu_time=cpu, status=_local.status,
        gil_wait_time=None, gil_wait_count=None, request_data=mod_wsgi.request_data()))
