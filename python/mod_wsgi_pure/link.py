"""The daemon's link to the supervisor.

*Threads:* the main thread receives, any may send: a datagram goes out as a whole.
"""

import os
import socket
import struct
import sys

from mod_wsgi_pure import codec, native, records, sockets

# Seconds for which a supervisor that does not read may hold up a sender.
_PATIENCE = 5
# Replacement characters make up to three bytes out of one.
_TEXT = records.MAX_LOG // 3


class Broken(Exception):
    """The supervisor is gone, or broke the protocol."""


class Link(object):
    def __init__(self, descriptor):
        self.socket = sockets.adopt(descriptor, socket.SOCK_SEQPACKET)
        patience = struct.pack("@ll", _PATIENCE, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        self.process = os.getpid()
        self.log_level = records.DEBUG
        self.is_gone = False
        # True in a process without worker threads.
        self.is_service = False
        # Why the process ends; None as long as it does not.
        self.stop = None
        self._preloaded = ()

    def is_forked(self):
        """True in a process that the application forked: it has no part in the link."""
        return os.getpid() != self.process

    def introduce(self):
        """Says Hello and waits for Start, which it returns."""
        self.send(records.HELLO, version=records.VERSION, worker="pure",
                  python_version=sys.version.split()[0], executable=sys.executable or "")
        data = sockets.receive(self.socket, records.MAX_DATAGRAM + 64)
        try:
            record, start = records.datagram(data)
        except codec.Malformed as error:
            raise Broken("got no valid start message: %s" % error)
        if record is not records.START:
            raise Broken("got %s instead of the start message" % record.name)
        self.log_level = start["log_level"]
        self.is_service, self._preloaded = start["threads"] == 0, start["preload"]
        return start

    def receive(self):
        """A record, its values and the descriptors that came with it; None if
        there is none yet. Raises Broken at the link's end, Malformed."""
        try:
            data, descriptors = sockets.receive_descriptors(
                self.socket, records.MAX_DATAGRAM + 64)
        except sockets.WouldBlock:
            return None
        except (OSError, socket.error) as error:
            raise Broken(str(error))
        if not data:
            raise Broken("the supervisor has ended")
        try:
            return records.datagram(data) + (descriptors,)
        except codec.Malformed:
            for descriptor in descriptors:
                os.close(descriptor)
            raise

    def send(self, record, **values):
        """Sends a record; false if there is no supervisor to send it to."""
        if self.is_gone or self.is_forked():
            return False
        try:
            sockets.send(self.socket, record.write(values))
        except (OSError, socket.error, sockets.WouldBlock):
            return False
        return True

    def recycle(self, reason):
        """Asks the supervisor for a successor; without a supervisor, stops."""
        if not self.send(records.RECYCLE, reason=reason):
            self.stop = self.stop or reason

    def loaded(self, script):
        """Says that a script was loaded for a request."""
        if script not in self._preloaded:
            self.send(records.LOADED, script=script)

    def log(self, level, data):
        """Logs outside of any request. Levels that nobody logs count as done."""
        if level > self.log_level:
            return True
        data = native.as_utf8(data)
        while data:
            end = len(data)
            if end > _TEXT:
                end = data.rfind(b"\n", 0, _TEXT) + 1 or _TEXT
            part, data = data[:end], data[end:]
            if part.endswith(b"\n"):
                part = part[:-1]
            if not self.send(records.MESSAGE, level=level, text=part):
                return False
        return True
