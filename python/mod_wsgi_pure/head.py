"""Status and header fields as the application gave them, checked."""

import re

from mod_wsgi_pure import native, records

# Fields that belong to httpd's connection, not to the application.
_HOP_BY_HOP = frozenset([
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te",
    b"proxy-connection", b"trailer", b"transfer-encoding", b"upgrade"])
_STATUS = re.compile(b"[1-9][0-9][0-9](?: (.*))?\\Z", re.DOTALL)
_CONTROL = re.compile(b"[\0-\x1f\x7f]")
_NAME = re.compile(b"[A-Za-z0-9!#$%&'*+.^_`|~-]+\\Z")
_NO_VALUE = re.compile(b"[\0-\x08\x0a-\x1f\x7f]")


class Head(object):
    """A response's head. Raises TypeError, ValueError or UnicodeEncodeError for
    arguments of ``start_response`` that PEP 3333 or HTTP does not permit."""

    def __init__(self, status, headers):
        self.content_length = None
        # Another module sends the body: a mismatch with the length is meant.
        self.is_delegated = False
        # Names of the hop-by-hop fields that were left out.
        self.dropped = []
        self.headers = []
        self.status, self.reason = _status(status)
        self._read(headers)

    @classmethod
    def hints(cls, headers):
        """Early hints: an interim response."""
        self = cls("200", [])
        self.status = 103
        self._read(headers)
        return self

    def _read(self, headers):
        if not isinstance(headers, list):
            raise TypeError("expected list object for headers, value of type %s found"
                            % type(headers).__name__)
        if len(headers) > records.MAX_HEADERS:
            raise ValueError("more than %d header fields" % records.MAX_HEADERS)
        for item in headers:
            self._add(*_field(item))

    @property
    def is_bodiless(self):
        """True if the response has no body by its status."""
        return self.status < 200 or self.status in (204, 304)

    def announce_length(self, length):
        """Announces the body's length if the application did not."""
        if self.content_length is None:
            self.content_length = length
            self.headers.append((b"Content-Length", str(length).encode("ascii")))

    def record(self):
        """HEAD's bytes. Raises Malformed if they are too many."""
        return records.HEAD_RECORD.write(vars(self))

    def _add(self, name, value):
        lower = name.lower()
        if lower in _HOP_BY_HOP:
            self.dropped.append(native.latin1(name))
            return
        if lower == b"content-length":
            length = _length(value)
            if self.content_length == length:
                return
            if self.content_length is not None:
                raise ValueError("two values of Content-Length: %d and %d"
                                 % (self.content_length, length))
            self.content_length = length
        self.is_delegated = self.is_delegated or lower == b"x-sendfile"
        self.headers.append((name, value))


def _status(status):
    line = _bytes("status line", status)
    match = _STATUS.match(line)
    if match is None:
        raise ValueError("status line %r does not start with a status of three digits, which "
                         "a space follows" % (status,))
    reason = match.group(1) or b""
    if line < b"2":
        raise ValueError("status line %r is an interim response; environ['wsgi.early_hints'] "
                         "sends early hints, and httpd sends 100 by itself" % (status,))
    if _CONTROL.search(reason):
        raise ValueError("status line %r contains control characters" % (status,))
    if len(reason) > records.MAX_REASON:
        raise ValueError("the reason phrase exceeds %d bytes" % records.MAX_REASON)
    return int(line[:3]), reason


def _field(item):
    if type(item) is not tuple:
        raise TypeError("list of tuple values expected for headers, value of type %s found"
                        % type(item).__name__)
    if len(item) != 2:
        raise TypeError("tuple of length 2 expected for header, length is %d" % len(item))
    name, value = _bytes("header name", item[0]), _bytes("header value", item[1])
    if not 0 < len(name) <= records.MAX_HEADER_NAME:
        raise ValueError("header name is empty or too long")
    if not _NAME.match(name):
        raise ValueError("header name %r has a character that no header name may have"
                         % (item[0],))
    if _NO_VALUE.search(value):
        raise ValueError("value of header %r contains control characters" % (item[0],))
    if len(value) > records.MAX_HEADER_VALUE:
        raise ValueError("value of header %r exceeds %d bytes"
                         % (item[0], records.MAX_HEADER_VALUE))
    return name, value


def _length(value):
    if not value.isdigit() or int(value) >= 1 << 64:
        raise ValueError("Content-Length %r is not a number of bytes" % (native.latin1(value),))
    return int(value)


def _bytes(what, value):
    """The bytes of a native string."""
    if not isinstance(value, str):
        raise TypeError("expected %s object for %s, value of type %s found" % (
            "byte string" if native.PYTHON_2 else "str", what, type(value).__name__))
    return value if native.PYTHON_2 else value.encode("latin-1")
