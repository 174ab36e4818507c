"""The records of both links: one table of fields for each.

A record is read into a dict and written from one. What a table can't say, the
record's own class does. docs/protocol.md tells what the fields mean.
"""

import struct

from mod_wsgi_pure.codec import (
    BOOL, F64, HEAD, PATH, REST, TEXT, U8, U16, U32, U64, Bytes, List, Malformed, Number,
    Option, Reader)
from mod_wsgi_pure.names import ENVIRON_NAMES

VERSION = 2

MAX_RECORD = 16 << 20
MAX_DATA = 1 << 20
MAX_LOG = 64 << 10
MAX_DATAGRAM = 128 << 10
MAX_SMALL = 256
MAX_ENVIRON = 16384
MAX_ENVIRON_NAME = 8192
MAX_HEADERS = 4096
MAX_HEADER_NAME = 8192
MAX_HEADER_VALUE = 1 << 20
MAX_REASON = 8192

COMPLETE, FAILED, ABORTED = 0, 1, 2
EMERGENCY, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG = range(8)


class Record(object):
    """A kind of record; ``limit`` and ``flags`` are what its head may say."""

    def __init__(self, name, kind, fields=(), limit=MAX_DATAGRAM, flags=0):
        self.name, self.kind, self.fields = name, kind, fields
        self.limit, self.flags = limit, flags
        self._numbers = None
        if fields and all(isinstance(form, Number) for _, form in fields):
            self._numbers = struct.Struct("<" + "".join(form.code for _, form in fields))

    def read(self, payload):
        reader = Reader(payload)
        values = {}
        for name, form in self.fields:
            values[name] = form.read(reader, name)
        reader.finish()
        self.check(values)
        return values

    def write(self, values=None, flags=0):
        if self._numbers is not None:
            payload = self._numbers.pack(*[values[name] for name, _ in self.fields])
        else:
            payload = b"".join([form.write(values[name]) for name, form in self.fields])
        if len(payload) > self.limit:
            raise Malformed("TooLong", self.name)
        return HEAD.pack(len(payload), self.kind, flags, 0) + payload

    def check(self, values):
        """Refuses values that their types permit and the record does not."""


class Request(Record):
    def read(self, payload):
        """The fixed fields, and ``environ`` with names and values as bytes."""
        reader = Reader(payload)
        request = {"request_start": U64.read(reader, "request_start"),
                   "queue_start": U64.read(reader, "queue_start")}
        count = U16.read(reader, "count")
        if count > MAX_ENVIRON:
            raise Malformed("TooLong", "environ")
        for name in ("script", "handler_script", "callable_object"):
            request[name] = _LARGE.read(reader, name)
        try:
            request["environ"] = environ = _environ(payload, reader.at, count)
        except (struct.error, IndexError):
            environ = None
        if environ is None:
            raise _mistake(reader, count)
        return request


def _environ(payload, at, count):
    """The entries of an environ, names and values; None or an error if it is malformed.
    Most of the time that a record takes is spent here."""
    unpack, names, entries = _ENTRY.unpack_from, _NAMES, []
    for _ in range(count):
        # The name, known by its number, or its length; then the value's.
        number, size = unpack(payload, at)
        at += _ENTRY.size
        name = names[number]
        if number == 0:
            if size > MAX_ENVIRON_NAME:
                return None
            name = payload[at:at + size]
            at += size
            size, = _SIZE.unpack_from(payload, at)
            at += _SIZE.size
        entries.append((name, payload[at:at + size]))
        at += size
    return entries if at == len(payload) else None


def _mistake(reader, count):
    """What is wrong with a malformed environ, found by a second, careful look."""
    try:
        for _ in range(count):
            number = U8.read(reader, "environ_id")
            if number >= len(_NAMES):
                return Malformed("Invalid", "environ_id")
            if number == 0:
                _ENVIRON_NAME.read(reader, "environ_name")
            _LARGE.read(reader, "environ_value")
        reader.finish()
    except Malformed as error:
        return error
    return Malformed("Invalid", "environ")


class Demand(Record):
    def check(self, values):
        if values["window"] < values["need"]:
            raise Malformed("Invalid", "window")


class Head(Record):
    def read(self, payload):
        reader = Reader(payload)
        status, count = U16.read(reader, "status"), U16.read(reader, "count")
        reason = _REASON.read(reader, "reason")
        if not 100 <= status <= 999:
            raise Malformed("Invalid", "status")
        if count > MAX_HEADERS:
            raise Malformed("TooLong", "headers")
        headers = []
        for _ in range(count):
            name = _HEADER_NAME.read(reader, "header_name")
            headers.append((name, _HEADER_VALUE.read(reader, "header_value")))
        reader.finish()
        return {"status": status, "reason": reason, "headers": headers}

    def write(self, values=None, flags=0):
        headers = values["headers"]
        pack = _SIZE.pack
        pieces = [_HEAD.pack(values["status"], len(headers), len(values["reason"])),
                  values["reason"]]
        for name, value in headers:
            pieces += pack(len(name)), name, pack(len(value)), value
        payload = b"".join(pieces)
        if len(payload) > self.limit:
            raise Malformed("TooLong", self.name)
        return HEAD.pack(len(payload), self.kind, flags, 0) + payload


class File(Record):
    def check(self, values):
        if values["offset"] + values["length"] >= 1 << 63:
            raise Malformed("Invalid", "length")


class Log(Record):
    def check(self, values):
        if values["level"] > DEBUG:
            raise Malformed("Invalid", "level")


class End(Record):
    def check(self, values):
        outcome, status = values["outcome"], values["status"]
        if outcome not in (COMPLETE, FAILED, ABORTED):
            raise Malformed("Invalid", "outcome")
        if not (400 <= status <= 599 if outcome == FAILED else status == 0):
            raise Malformed("Invalid", "status")


_ENTRY, _SIZE, _HEAD = struct.Struct("<BI"), struct.Struct("<I"), struct.Struct("<HHI")
# By number; 0 stands for a name that is not numbered.
_NAMES = [None] + ENVIRON_NAMES

_LARGE = Bytes(MAX_RECORD)
_ENVIRON_NAME = Bytes(MAX_ENVIRON_NAME)
_REASON = Bytes(MAX_REASON)
_HEADER_NAME = Bytes(MAX_HEADER_NAME)
_HEADER_VALUE = Bytes(MAX_HEADER_VALUE)

FLAG_BODY, FLAG_NO_RELOAD, FLAG_CPU = 1, 2, 4
REQUEST = Request("REQUEST", 1, limit=MAX_RECORD,
                  flags=FLAG_BODY | FLAG_NO_RELOAD | FLAG_CPU)
BODY = Record("BODY", 2, [("bytes", REST)], MAX_DATA)
BODY_END = Record("BODY_END", 3, [("status", U16)], MAX_SMALL)
CANCEL = Record("CANCEL", 4, limit=0)
DEMAND = Demand("DEMAND", 65, [("need", U64), ("window", U64)], MAX_SMALL)
HEAD_RECORD = Head("HEAD", 66, limit=MAX_RECORD)
DATA = Record("DATA", 67, [("bytes", REST)], MAX_DATA, flags=1)
FILE = File("FILE", 68, [("offset", U64), ("length", U64)], MAX_SMALL)
LOG = Log("LOG", 69, [("level", U8), ("text", REST)], MAX_LOG + 1)
END = End("END", 70, [
    ("outcome", U8), ("status", U16), ("application_time", U64), ("cpu_time", U64),
    ("input", U64), ("output", U64)], MAX_SMALL)

START = Record("Start", 1, [
    ("process_group", TEXT), ("application_group", TEXT), ("threads", U32), ("processes", U32),
    ("multiprocess", BOOL), ("run_once", BOOL), ("preload", List(PATH)), ("home", Option(PATH)),
    ("python_path", List(PATH)), ("display_name", Option(TEXT)), ("locale", Option(TEXT)),
    ("stack_size", U64), ("switch_interval", F64), ("restrict_stdin", BOOL),
    ("restrict_stdout", BOOL), ("restrict_signal", BOOL), ("log_level", U8), ("version", TEXT),
    ("apache_version", TEXT), ("mpm_name", TEXT), ("mpm_processes", U32), ("mpm_threads", U32)])
SEAT = [("thread", U32), ("epoch", U32)]
GIVEN = Record("Channel", 2, SEAT)
STOP = Record("Stop", 3, [("reason", TEXT)])
PROBE = Record("Probe", 4)
INTERRUPT = Record("Interrupt", 5, [("thread", U32), ("age", U32), ("raise", BOOL)])
TRACE = Record("Trace", 6, [("thread", U32), ("age", U32)])
HELLO = Record("Hello", 65, [
    ("version", U32), ("worker", TEXT), ("python_version", TEXT), ("executable", TEXT)])
READY = Record("Ready", 66, [("loaded", BOOL)])
CHANNEL_READY = Record("ChannelReady", 67, SEAT)
CHANNEL_LOST = Record("ChannelLost", 68, SEAT)
MESSAGE = Log("Log", 69, [("level", U8), ("text", TEXT)])
RECYCLE = Record("Recycle", 70, [("reason", TEXT)])
LOADED = Record("Loaded", 71, [("script", PATH)])
ALIVE = Record("Alive", 72)
TRACED = Record("Traced", 73, [("thread", U32), ("stack", TEXT)])

CHANNEL = dict((record.kind, record) for record in (
    REQUEST, BODY, BODY_END, CANCEL, DEMAND, HEAD_RECORD, DATA, FILE, LOG, END))
LINK = dict((record.kind, record) for record in (
    START, GIVEN, STOP, PROBE, INTERRUPT, TRACE, HELLO, READY, CHANNEL_READY, CHANNEL_LOST,
    MESSAGE, RECYCLE, LOADED, ALIVE, TRACED))


def head(data, records=CHANNEL):
    """The record that a head of eight bytes announces, its length and flags."""
    length, kind, flags, reserved = HEAD.unpack(data)
    if reserved:
        raise Malformed("Invalid", "reserved bytes")
    record = records.get(kind)
    if record is None:
        raise Malformed("UnknownKind", kind)
    if length > record.limit:
        raise Malformed("TooLong", "record")
    if flags & ~record.flags:
        raise Malformed("Invalid", "flags")
    return record, length, flags


def datagram(data):
    """The record in a datagram of the daemon link, and its values."""
    if len(data) < HEAD.size:
        raise Malformed("Missing", "head")
    if len(data) > HEAD.size + MAX_DATAGRAM:
        raise Malformed("TooLong", "record")
    record, length, _ = head(data[:HEAD.size], LINK)
    if length != len(data) - HEAD.size:
        raise Malformed("Invalid", "length")
    return record, record.read(data[HEAD.size:])
