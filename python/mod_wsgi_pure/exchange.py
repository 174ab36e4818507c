"""One request: from its record to its END.

*Threads:* the worker thread; what the application got from it may be used by
others until END.
"""

import time

from mod_wsgi_pure import api, codec, log, native, records, response, script, streams
from mod_wsgi_pure.body import Input
from mod_wsgi_pure.reply import Gone, NotStarted


class Exchange(object):
    def __init__(self, channel, request, constants, limit):
        self.channel, self._request = channel, request
        self._constants, self._limit = constants, limit
        path = request["handler_script"] or request["script"]
        self._path, self._script = path, native.path(path)
        self._ended = False
        # HTTP status of a failure that was logged.
        self._failure = None

    def run(self):
        """Calls the application and answers."""
        began, cpu_began = time.time(), self._thread_time()
        log.set_destination(self)
        environ = self._environ(began)
        is_head = environ.get("REQUEST_METHOD") == "HEAD"
        request_id = environ.get("mod_wsgi.request_id")
        api.begin_request(request_id)
        self._limit.begin(request_id)
        try:
            try:
                self._respond(environ)
            finally:
                self._limit.end()
        except BaseException:
            self._report()
        api.end_request(request_id)
        streams.end_lines()
        self._errors.flush()
        log.set_destination(None)
        self._conclude(began, cpu_began, is_head)

    def check(self, what):
        """Raises RuntimeError if the request is over."""
        if self._ended:
            raise RuntimeError("%s was used after its request had ended" % what)

    def log(self, level, data):
        """Logs for this request; false if it is over."""
        reply = self.channel.reply
        with reply.lock:
            return not self._ended and reply.log(level, data)

    def set_head(self, head):
        reply = self.channel.reply
        with reply.lock:
            return not self._ended and reply.set_head(head)

    def send(self, piece, gather=False):
        """Sends a piece of the body. Raises Gone if the client is."""
        reply = self.channel.reply
        with reply.lock:
            if self._ended:
                raise Gone()
            try:
                reply.data(piece, gather)
            except NotStarted:
                raise RuntimeError(
                    "the response's body was begun before start_response was called")
            except codec.Malformed:
                raise ValueError("the response's header fields are too long")

    def send_file(self, descriptor, offset, length):
        """Sends a part of a file. Raises Gone if the client is."""
        try:
            self.channel.reply.file(descriptor, offset, length)
        except NotStarted:
            raise RuntimeError("the response's body was begun before start_response was called")

    def is_unwanted(self):
        """Looks whether the client is gone."""
        with self.channel.body.lock:
            return self.channel.body.poll()

    def _environ(self, began):
        environ = dict(self._constants)
        environ.update(native.environ(self._request["environ"]))
        self._errors = streams.Errors(self)
        environ["wsgi.input"] = Input(self)
        environ["wsgi.errors"] = streams.Text(self._errors, "replace")
        environ["mod_wsgi.request_start"] = self._request["request_start"] / 1e6
        environ["mod_wsgi.queue_start"] = self._request["queue_start"] / 1e6
        environ["mod_wsgi.daemon_start"] = began
        return environ

    def _respond(self, environ):
        application = self._application()
        if application is None:
            self._failure = 500
            return
        environ["mod_wsgi.application_start"] = time.time()
        result = application(environ, response.StartResponse(self))
        try:
            response.send(self, result)
        except BaseException:
            self._report()
        finally:
            self._close(result)

    def _application(self):
        """The callable; None if there is none, which was logged."""
        found = script.find(self._path, self._request["reloads"])
        if found is None:
            return None
        if self._request["reloads"]:
            script.ask(self._path, self._request["script"])
        name = "handle_request"
        if not self._request["handler_script"]:
            name = native.latin1(self._request["callable_object"])
        application = found.get(name)
        if application is None:
            log.write(records.ERROR, "MWR3013: script %s has no global named %s; name the WSGI "
                      "application so, or set WSGICallableObject" % (self._script, name))
        return application

    def _close(self, result):
        try:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        except BaseException:
            log.exception(records.ERROR, "MWR3023: close() of the response's iterable raised an "
                          "exception, application in %s" % self._script)

    def _report(self):
        """Logs an exception of the application; notes the HTTP status for it."""
        fault = self.channel.body.fault
        status = 500
        try:
            raise
        except api.RequestTimeout:
            status = 504
            message = "MWR3022: the request exceeded its time limit, application in %s"
        except SystemExit:
            message = ("MWR3021: SystemExit was raised by the application in %s; the process "
                       "goes on")
        except (IOError, OSError):
            if self.channel.reply.is_gone:
                self._failure = 499
                return
            message = "MWR3020: exception in the application in %s"
        except BaseException:
            message = "MWR3020: exception in the application in %s"
        log.exception(records.ERROR, message % self._script)
        if fault is not None and fault.status is not None:
            status = fault.status
        self._failure = status

    def _conclude(self, began, cpu_began, is_head):
        """Ends the request on the wire."""
        reply = self.channel.reply
        with reply.lock:
            self._ended = True
            outcome, status = self._outcome(is_head)
            if outcome == records.COMPLETE:
                try:
                    reply.commit()
                except codec.Malformed:
                    outcome, status = records.FAILED, 500
                    self._failure = 500
                    self._log(records.ERROR, "MWR3028: the header fields from the application in "
                              "%s are too long to be sent" % self._script)
            self._explain(outcome, is_head)
            reply.end(outcome=outcome, status=status,
                      application_time=max(0, int((time.time() - began) * 1e6)),
                      cpu_time=int((self._thread_time() - cpu_began) * 1e6),
                      input=self.channel.body.consumed, output=reply.output)

    def _thread_time(self):
        """CPU time of the thread if it is asked for and Python can tell, else 0."""
        wanted = self._request["cpu_time"] and hasattr(time, "thread_time")
        return time.thread_time() if wanted else 0

    def _outcome(self, is_head):
        reply = self.channel.reply
        status = 499 if reply.is_gone else self._failure
        if status is None and reply.head is None:
            status = 500
        if status is None and self._is_short(is_head):
            status = 500
        if status is None:
            return records.COMPLETE, 0
        return (records.ABORTED, 0) if reply.is_committed else (records.FAILED, status)

    def _is_short(self, is_head):
        """True if the body is shorter than its announced length, and should not be."""
        reply = self.channel.reply
        left = reply.left if reply.is_committed else reply.head.content_length
        meant = is_head or reply.head.is_bodiless or (
            reply.head.is_delegated and reply.output == 0)
        return bool(left) and not meant

    def _explain(self, outcome, is_head):
        """Logs what is wrong with a response that raised no exception."""
        reply, script_name = self.channel.reply, self._script
        if self._failure is not None or reply.is_gone:
            return
        if reply.head is None:
            self._log(records.ERROR, "MWR3024: the application in %s did not call "
                      "start_response; it has to before it returns or yields its first piece"
                      % script_name)
        elif outcome != records.COMPLETE:
            self._log(records.ERROR, "MWR3026: the application in %s sent %d bytes of body, fewer "
                      "than its Content-Length; the response is broken off"
                      % (script_name, reply.output))
        elif reply.is_cut and not (is_head or reply.head.is_bodiless):
            self._log(records.WARNING, "MWR3025: the application in %s sent more body than its "
                      "Content-Length of %d bytes; the rest was left out"
                      % (script_name, reply.output))

    def _log(self, level, message):
        self.channel.reply.log(level, native.encode(message))
