"""The body of a request: from the channel's records to ``wsgi.input``.

*Threads:* any of the application's; they take turns by the body's lock.
"""

import operator
import threading

from mod_wsgi_pure import codec, records, sockets
from mod_wsgi_pure.inbox import Inbox, Lost, malformed

# Bytes that httpd may send beyond those that the application waits for.
_WINDOW = 256 << 10
# Bytes of body that may come ahead of what tells that the client is gone.
_FORESEEN = 128 << 10
_ALL = (1 << 64) - 1
_CANCELLED = 499


class Fault(Exception):
    """The body can't be read further: an HTTP status, or None if the channel is lost."""

    def __init__(self, status, why):
        Exception.__init__(self, "mod_wsgi request data read error: %s" % why)
        self.status = status

    @property
    def is_end(self):
        """True if there is nobody left to answer."""
        return self.status in (None, _CANCELLED)


class Body(object):
    """The part of a body that was not read yet."""

    def __init__(self, sock, reply):
        self.inbox, self.reply = Inbox(sock), reply
        self.lock = threading.RLock()
        self.start(False)

    def start(self, has_body):
        """Begins with the body of the request that was taken from the inbox."""
        self.ahead = bytearray()
        self.consumed = self.demanded = self.record = 0
        self.ended, self.fault = not has_body, None

    def finish(self):
        """Leaves the inbox at the begin of a record. Raises Lost."""
        record, self.record = self.record, 0
        self.inbox.skip(record)

    def read(self, size):
        """``size`` bytes, fewer only at the end; all of them if it is negative."""
        self._check()
        if size == 0:
            return b""
        while not self.ended and (size < 0 or len(self.ahead) < size):
            self._more(_ALL if size < 0 else self.consumed + size)
        return self._take(len(self.ahead) if size < 0 else size)

    def is_empty(self):
        """True once all of the body has been handed out."""
        return self.ended and not self.ahead

    def line(self, limit):
        """The next line, or what is left; at most ``limit`` bytes if not negative."""
        self._check()
        searched = 0
        while True:
            newline = self.ahead.find(b"\n", searched) + 1
            searched = len(self.ahead)
            if newline or self.ended or 0 <= limit <= searched:
                size = newline or searched
                return self._take(size if limit < 0 else min(size, limit))
            self._more(self.consumed + searched + 1)

    def poll(self):
        """Looks, without waiting, whether the client or the channel is gone."""
        if self.fault is None:
            try:
                while len(self.inbox.data) < _FORESEEN and self._fill_at_once():
                    pass
                self._foresee()
            except (Lost, Fault) as error:
                self._fail(error)
        return self.fault is not None and self.fault.is_end

    def _foresee(self):
        """Finds the end behind the body that nobody has read yet."""
        at, data = self.record, self.inbox.data
        while len(data) >= at + codec.HEAD.size:
            record, length, _ = self.inbox.peek(at)
            at += codec.HEAD.size + length
            if record is records.CANCEL:
                raise Fault(_CANCELLED, "the client has closed the connection")
            if record is records.BODY_END and len(data) >= at and not self.ended:
                if _status(data[at - length:at]) == _CANCELLED:
                    raise Fault(_CANCELLED, "the client has closed the connection")
            elif self.ended or record is not records.BODY:
                raise malformed("%s at the wrong time" % record.name)

    def _check(self):
        if self.fault is not None:
            raise self.fault

    def _take(self, size):
        taken = bytes(self.ahead[:size])
        del self.ahead[:size]
        self.consumed += len(taken)
        return taken

    def _fail(self, error):
        if isinstance(error, Lost):
            error = Fault(None, error.why or "the connection to httpd has ended")
        self.fault = error
        self.reply.release()
        if error.is_end:
            self.reply.abandon(lost=error.status is None)
        return error

    def _more(self, need):
        """Receives more of the body, or its end; ``need`` counts from its first byte."""
        try:
            if self.record == 0:
                self._begin(need)
            if self.record and not self.inbox.data:
                self.inbox.fill()
            self._collect()
        except (Lost, Fault) as error:
            raise self._fail(error)

    def _begin(self, need):
        """Waits for the next record's head, which httpd sends if asked."""
        while self.inbox.peek() is None:
            if self.inbox.data:
                self.inbox.fill()
            elif not self._fill_at_once():
                self._demand(need)
                self.inbox.fill()
        self._next(*self.inbox.peek())

    def _fill_at_once(self):
        try:
            self.inbox.fill(wait=False)
        except sockets.WouldBlock:
            return False
        return True

    def _next(self, record, length, flags):
        """Begins with the record whose head has come."""
        if record is records.BODY and not self.ended:
            self.inbox.skip(codec.HEAD.size)
            self.record = length
        elif record is records.BODY_END and not self.ended:
            status = _status(self.inbox.payload(length))
            if status == _CANCELLED:
                raise Fault(_CANCELLED, "the client has closed the connection")
            if status:
                raise Fault(status, "httpd could not read the body (status %d)" % status)
            self.ended = True
        elif record is records.CANCEL:
            self.inbox.skip(codec.HEAD.size)
            raise Fault(_CANCELLED, "the client has closed the connection")
        else:
            raise malformed("%s at the wrong time" % record.name)

    def _collect(self):
        """Takes what has come of the record that was begun."""
        if self.record:
            piece = self.inbox.take(min(self.record, len(self.inbox.data)))
            self.record -= len(piece)
            self.ahead += piece
        if self.ended or self.consumed + len(self.ahead) >= self.demanded:
            self.reply.release()

    def _demand(self, need):
        received = self.consumed + len(self.ahead)
        if need > self.demanded:
            self.demanded = need
            self.reply.demand(need, max(need, received + _WINDOW))


def _status(payload):
    """The status in a BODY_END."""
    try:
        return records.BODY_END.read(bytes(payload))["status"]
    except codec.Malformed as error:
        raise malformed(error)


class Input(object):
    """``wsgi.input``."""

    def __init__(self, exchange):
        self._exchange = exchange

    def read(self, size=-1):
        return self._call("read", size)

    def readline(self, size=-1):
        return self._call("line", size)

    def readlines(self, hint=-1):
        lines, size = [], 0
        for line in self:
            lines.append(line)
            size += len(line)
            if 0 < hint <= size:
                break
        return lines

    def close(self):
        pass

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if line:
            return line
        raise StopIteration

    next = __next__

    def _call(self, method, size):
        size = operator.index(size)
        self._exchange.check("wsgi.input")
        body = self._exchange.channel.body
        with body.lock:
            self._exchange.check("wsgi.input")
            try:
                if self._exchange.measures is None or body.is_empty():
                    return getattr(body, method)(size)
                with self._exchange.measures.reading():
                    return getattr(body, method)(size)
            except Fault as fault:
                why = str(fault)
        raise IOError(why)
