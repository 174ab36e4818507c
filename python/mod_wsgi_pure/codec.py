"""Types of the fields of which records consist, and how they are read and written."""

import struct

from mod_wsgi_pure import native

HEAD = struct.Struct("<IBBH")


class Malformed(Exception):
    """A record that can't be: an error of docs/protocol.md and the place of it."""

    def __init__(self, error, where):
        Exception.__init__(self, "%s %s" % (error, where))
        self.error = error


class Reader(object):
    """A cursor over a payload."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count, name):
        end = self.at + count
        if end > len(self.data):
            raise Malformed("Missing", name)
        piece, self.at = self.data[self.at:end], end
        return piece

    def rest(self):
        return self.take(len(self.data) - self.at, "")

    def finish(self):
        if self.at < len(self.data):
            raise Malformed("Trailing", len(self.data) - self.at)


class Number(object):
    """An integer or a float, by its code in ``struct``."""

    def __init__(self, code):
        self.code, self.form = code, struct.Struct("<" + code)

    def read(self, reader, name):
        return self.form.unpack(reader.take(self.form.size, name))[0]

    def write(self, value):
        return self.form.pack(value)


class Bool(object):
    def read(self, reader, name):
        byte = reader.take(1, name)
        if byte not in (b"\0", b"\1"):
            raise Malformed("Invalid", name)
        return byte == b"\1"

    def write(self, value):
        return b"\1" if value else b"\0"


class Bytes(object):
    """A count and that many bytes."""

    def __init__(self, most=0xffffffff):
        self.most = most

    def read(self, reader, name):
        size = U32.read(reader, name)
        if size > self.most:
            raise Malformed("TooLong", name)
        return reader.take(size, name)

    def write(self, value):
        if len(value) > self.most:
            raise Malformed("TooLong", "%d bytes" % len(value))
        return U32.write(len(value)) + value


class Text(Bytes):
    """Bytes that are UTF-8; a native string for whoever reads it."""

    def read(self, reader, name):
        data = Bytes.read(self, reader, name)
        if not native.is_utf8(data):
            raise Malformed("Invalid", name)
        return native.text(data)

    def write(self, value):
        return Bytes.write(self, native.as_utf8(native.encode(value)))


class Path(Bytes):
    """Bytes as the file system has them; a native string for whoever reads it."""

    def read(self, reader, name):
        return native.path(Bytes.read(self, reader, name))

    def write(self, value):
        return Bytes.write(self, native.encode_path(value))


class Option(object):
    """A value or None."""

    def __init__(self, inner):
        self.inner = inner

    def read(self, reader, name):
        return self.inner.read(reader, name) if BOOL.read(reader, name) else None

    def write(self, value):
        return b"\0" if value is None else b"\1" + self.inner.write(value)


class List(object):
    """A count and that many values."""

    def __init__(self, inner):
        self.inner = inner

    def read(self, reader, name):
        # An item takes at least a byte: the count can't make us work for long.
        return [self.inner.read(reader, name) for _ in range(self._count(reader, name))]

    def _count(self, reader, name):
        count = U32.read(reader, name)
        if count > len(reader.data):
            raise Malformed("Missing", name)
        return count

    def write(self, value):
        return U32.write(len(value)) + b"".join(map(self.inner.write, value))


class Rest(object):
    """Bytes up to the end of the record."""

    def read(self, reader, name):
        return reader.rest()

    def write(self, value):
        return value


U8, U16, U32, U64, F64 = map(Number, "BHIQd")
BOOL, BYTES, TEXT, PATH, REST = Bool(), Bytes(), Text(), Path(), Rest()
