"""``start_response``, the ``write`` that it returns, and the iterable that the
application returns."""

import fcntl
import io
import os
import stat
import time

from mod_wsgi_pure import api, log, native, records
from mod_wsgi_pure.head import Head
from mod_wsgi_pure.reply import Gone

# Seconds after which a response that is being produced looks whether it is wanted.
_CURIOSITY = 0.25
# Bytes of small pieces that make a record together.
_GATHERED = 64 << 10


class StartResponse(object):
    def __init__(self, exchange):
        self._exchange = exchange

    def __call__(self, status, headers, exc_info=None):
        exchange = self._exchange
        exchange.check("start_response")
        if exc_info is not None and not (isinstance(exc_info, tuple) and len(exc_info) == 3):
            raise RuntimeError("exc_info must be a tuple of three or None, not %s"
                               % type(exc_info).__name__)
        try:
            head = Head(status, headers)
            if head.dropped:
                log.write(records.WARNING, "MWR3027: header fields %s were left out of the "
                          "response: they concern httpd's connection to the client, which httpd "
                          "manages" % ", ".join(head.dropped))
            if exchange.set_head(head):
                return self._write
            if exc_info is not None:
                native.reraise(*exc_info)
        finally:
            exc_info = None  # it refers to this frame
        raise RuntimeError("start_response was called again without exc_info after the headers "
                           "had been sent")

    def _write(self, data):
        self._exchange.check("write")
        _check_piece(data)
        if data:
            try:
                self._exchange.send(data)
            except Gone:
                raise IOError("client connection closed")


def send(exchange, result):
    """Sends the whole of what the application returned. Ends early, without an
    error, if the client is gone."""
    try:
        if type(result) in (list, tuple):
            _send_together(exchange, result)
        elif not _send_file(exchange, result):
            _send_pieces(exchange, result)
    except Gone:
        pass


def _send_together(exchange, pieces):
    """Sends what is there already: as nothing happens between the pieces, they leave
    in few records."""
    gathered, size = [], 0
    try:
        for piece in pieces:
            _check_piece(piece)
            gathered.append(piece)
            size += len(piece)
            if size >= _GATHERED:
                data, gathered, size = b"".join(gathered), [], 0
                exchange.send(data, gather=True)
    finally:
        if size:
            exchange.send(b"".join(gathered), gather=True)


def _send_pieces(exchange, result):
    looked = time.time()
    for piece in result:
        _check_piece(piece)
        if not piece:
            continue
        if not 0 <= time.time() - looked < _CURIOSITY:
            looked = time.time()
            if exchange.is_unwanted():
                break
        exchange.send(piece)


def _check_piece(piece):
    if not isinstance(piece, bytes):
        raise TypeError("bytes object expected for a piece of the response's body, value of type "
                        "%s found" % type(piece).__name__)


def _send_file(exchange, result):
    """Has httpd send a regular file by itself; false if it has to be iterated."""
    plain = plain_file(result.filelike) if type(result) is api.FileWrapper else None
    if plain is None or exchange.channel.reply.is_committed:
        return False
    descriptor, offset = plain
    try:
        # One of our own, which the application's other threads can't close.
        descriptor = fcntl.fcntl(descriptor, getattr(fcntl, "F_DUPFD_CLOEXEC", 1030), 0)
    except (OSError, IOError):
        return False
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return False
        exchange.send_file(descriptor, offset, max(0, facts.st_size - offset))
        return True
    finally:
        os.close(descriptor)


def plain_file(filelike):
    """Descriptor and offset, if ``read`` gives the file's bytes as they are; a
    decompressing or decoding file has a descriptor, too."""
    if isinstance(filelike, io.IOBase):
        if not isinstance(getattr(filelike, "raw", filelike), io.FileIO):
            return None
    elif "U" in str(getattr(filelike, "mode", "")):
        return None  # Python 2 translates line ends
    try:
        descriptor, offset = filelike.fileno(), filelike.tell()
    except Exception:  # whatever a file-like object may raise: it is iterated
        return None
    numbers = (int,) if not native.PYTHON_2 else (int, type(1 << 64))
    if type(descriptor) in numbers and type(offset) in numbers and min(descriptor, offset) >= 0:
        return descriptor, offset
    return None
