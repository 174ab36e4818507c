"""What a worker sends for one request, in order: LOG, HEAD, DATA or FILE, END.

*Threads:* any of the application's; behind the reply's own lock. Records are
queued whole: a finalizer that prints while its thread sends only queues.
"""

import collections
import socket
import threading

from mod_wsgi_pure import codec, records, sockets

# Bytes gathered before they are sent.
_GATHERED = 64 << 10


class NotStarted(Exception):
    """The application did not call start_response."""


class Gone(Exception):
    """The client or the channel is gone: nothing but END may be sent."""


class Reply(object):
    def __init__(self, sock):
        self.socket = sock
        self.lock = threading.RLock()
        self._released = threading.Condition(self.lock)
        self._queue, self._flushing = collections.deque(), False
        self.start()

    def start(self):
        """Forgets the last request."""
        self.head = None
        self.is_committed = self.is_cut = False
        self.is_gone = self.is_lost = self._held = False
        self.left, self.output = None, 0

    def set_head(self, head):
        """Sets status and header fields; false if others were sent already."""
        with self.lock:
            if self.is_committed:
                return False
            self.head = head
            return True

    def commit(self):
        """Queues HEAD, unless that was done. Raises Gone, NotStarted, Malformed."""
        with self.lock:
            if self.is_gone:
                raise Gone()
            if self.is_committed:
                return
            if self.head is None:
                raise NotStarted()
            self._queue.append((self.head.record(), None))
            self.left, self.is_committed = self.head.content_length, True

    def hints(self, head):
        """Sends early hints; false if the response's own head was sent already."""
        with self.lock:
            if self.is_committed:
                return False
            if not self.is_gone:
                self._queue.append((head.record(), None))
                self._flush()
            return True

    def data(self, piece, gather=False):
        """Sends a piece of the body, which is not empty; with ``gather`` it may
        wait for what follows. Raises as ``commit``."""
        with self.lock:
            while self._held and not self.is_gone:
                self._released.wait()
            self.commit()
            if self.left is not None:
                self.is_cut = self.is_cut or len(piece) > self.left
                piece = piece[:self.left]
                self.left -= len(piece)
            self.output += len(piece)
            size = records.MAX_DATA
            for at in range(0, len(piece), size):
                part = piece[at:at + size]
                more = gather or at + size < len(piece)
                head = codec.HEAD.pack(len(part), records.DATA.kind, int(more), 0)
                self._queue.append((head + part, None))
                if not gather or self._queued() >= _GATHERED:
                    self._flush()
            if self.is_gone:
                raise Gone()

    def file(self, descriptor, offset, length):
        """Sends ``length`` bytes of a file as the body; raises as ``commit``."""
        with self.lock:
            if not self.is_committed and self.head is not None:
                self.head.announce_length(length)
            self.commit()
            allowed = length if self.left is None else min(self.left, length)
            self.is_cut = allowed < length
            if allowed:
                record = records.FILE.write({"offset": offset, "length": allowed})
                self._queue.append((record, descriptor))
                self._flush()
                if self.left is not None:
                    self.left -= allowed
                self.output += allowed

    def log(self, level, data):
        """Sends each line of ``data``; false if it can't be."""
        with self.lock:
            if self.is_gone:
                return False
            size = records.MAX_LOG
            parts = [line[at:at + size] for line in data.split(b"\n")
                     for at in range(0, len(line) or 1, size)]
            record = b"".join([
                records.LOG.write({"level": level, "text": part}) for part in parts])
            self._queue.append((record, None))
            self._flush()
            return not self.is_lost

    def demand(self, need, window):
        """Asks for the request's body, and sends no more before ``release``."""
        with self.lock:
            self._queue.append((records.DEMAND.write({"need": need, "window": window}), None))
            self._flush()
            self._held = True

    def release(self):
        """Ends the silence that ``demand`` began."""
        with self.lock:
            if self._held:
                self._held = False
                self._released.notify_all()
                self._flush()

    def end(self, **values):
        """Sends END."""
        with self.lock:
            if not self.is_lost:
                self._queue.append((records.END.write(values), None))
                self._held = False
                self._flush()

    def abandon(self, lost):
        """Notes that the client is gone, or that the channel is lost."""
        with self.lock:
            self.is_gone = True
            self.is_lost = self.is_lost or lost
            self._released.notify_all()

    def _queued(self):
        return sum(len(data) for data, _ in self._queue)

    def _flush(self):
        # An outer call of this thread sends what a finalizer queues meanwhile.
        if self._flushing or self._held:
            return
        self._flushing = True
        try:
            while self._queue:
                data, descriptor = self._queue.popleft()
                if descriptor is not None:
                    sockets.send_descriptor(self.socket, data, descriptor)
                    continue
                parts = [data]
                while self._queue and self._queue[0][1] is None:
                    parts.append(self._queue.popleft()[0])
                sockets.send(self.socket, b"".join(parts))
        except (OSError, socket.error, sockets.WouldBlock):
            self._queue.clear()
            self.abandon(lost=True)
        finally:
            self._flushing = False
