"""The receiving side of a channel: bytes that came, and the records in them.

*Threads:* one at a time, behind the body's lock.
"""

import socket

from mod_wsgi_pure import codec, records, sockets

_SIZE = 64 << 10


class Lost(Exception):
    """The channel can't be used any longer; why, unless it just ended."""

    def __init__(self, why=None):
        Exception.__init__(self, why)
        self.why = why


class Inbox(object):
    def __init__(self, sock):
        self.socket = sock
        self.data = bytearray()

    def fill(self, wait=True):
        """Receives once. Raises Lost, and WouldBlock if ``wait`` is false."""
        try:
            data = sockets.receive(self.socket, _SIZE, wait)
        except (OSError, socket.error) as error:
            raise Lost(str(error))
        if not data:
            raise Lost()
        self.data += data

    def take(self, count):
        """The first ``count`` bytes, which have come."""
        taken = bytes(self.data[:count])
        del self.data[:count]
        return taken

    def peek(self, at=0):
        """Kind, length and flags of the record at an offset, or None: its head has
        not come."""
        end = at + codec.HEAD.size
        if len(self.data) < end:
            return None
        try:
            return records.head(bytes(self.data[at:end]))
        except codec.Malformed as error:
            raise malformed(error)

    def payload(self, length):
        """Waits for the first record's payload and takes the record."""
        size = codec.HEAD.size + length
        while len(self.data) < size:
            self.fill()
        return self.take(size)[codec.HEAD.size:]

    def skip(self, count):
        """Drops the next ``count`` bytes, as they come."""
        while count > len(self.data):
            count -= len(self.data)
            self.data = bytearray()
            self.fill()
        del self.data[:count]

    def request(self):
        """Waits for a REQUEST; its values and flags. Drops what crossed the END."""
        while True:
            first = self.peek()
            if first is None:
                self.fill()
                continue
            record, length, flags = first
            if record is records.REQUEST:
                try:
                    return record.read(self.payload(length)), flags
                except codec.Malformed as error:
                    raise malformed(error)
            if record not in (records.BODY, records.BODY_END, records.CANCEL):
                raise malformed("%s between requests" % record.name)
            self.skip(codec.HEAD.size + length)


def malformed(error):
    return Lost("httpd sent a malformed record: %s" % error)
