"""A supervisor and an httpd child for tests: both links of a worker, by hand."""

import array
import ctypes
import fcntl
import mmap
import os
import platform
import re
import signal
import socket
import struct
import subprocess
import sys
import time

VERSION = 2
REQUEST, BODY, BODY_END, CANCEL = 1, 2, 3, 4
DEMAND, HEAD, DATA, FILE, LOG, END = 65, 66, 67, 68, 69, 70
START, CHANNEL, STOP, PROBE, INTERRUPT, TRACE = 1, 2, 3, 4, 5, 6
HELLO, READY, CHANNEL_READY, CHANNEL_LOST, SERVER_LOG, RECYCLE = 65, 66, 67, 68, 69, 70
LOADED, ALIVE, TRACED = 71, 72, 73
COMPLETE, FAILED, ABORTED = 0, 1, 2
TIMEOUT = 60.0


def record(kind, payload=b"", flags=0):
    return struct.pack("<IBBH", len(payload), kind, flags, 0) + payload


def string(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(value)) + value


def strings(values):
    return struct.pack("<I", len(values)) + b"".join(map(string, values))


def option(value):
    return b"\0" if value is None else b"\1" + string(value)


def flag(value):
    return b"\1" if value else b"\0"


def start(**settings):
    """The start message, with defaults."""
    facts = dict(process_group="group", application_group="", threads=1, processes=1,
                 multiprocess=False, run_once=False, preload=[], home=None, python_path=[],
                 display_name=None, locale=None, stack_size=0, switch_interval=0.0,
                 restrict_stdin=True, restrict_stdout=False, restrict_signal=True, log_level=7,
                 version="0.1.0", apache_version="2.4.71", mpm_name="event", mpm_processes=16,
                 mpm_threads=25)
    assert not set(settings) - set(facts), settings
    facts.update(settings)
    get = facts.__getitem__
    return record(START, b"".join([
        string(get("process_group")), string(get("application_group")),
        struct.pack("<II", get("threads"), get("processes")),
        flag(get("multiprocess")), flag(get("run_once")), strings(get("preload")),
        option(get("home")), strings(get("python_path")), option(get("display_name")),
        option(get("locale")), struct.pack("<Qd", get("stack_size"), get("switch_interval")),
        flag(get("restrict_stdin")), flag(get("restrict_stdout")), flag(get("restrict_signal")),
        struct.pack("<B", get("log_level")), string(get("version")),
        string(get("apache_version")), string(get("mpm_name")),
        struct.pack("<II", get("mpm_processes"), get("mpm_threads")),
    ]))


def environ_names():
    """The numbered names, from the only place that has them."""
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(here, "..", "..", "crates", "wsgi-proto", "src", "channel", "names.rs")
    with open(path) as source:
        table = source.read().split("ENVIRON_NAMES: &[&str] = &[", 1)[1].split("];", 1)[0]
    return {name: number for number, name in enumerate(re.findall(r'"([^"]+)"', table), 1)}


NAMES = environ_names()


def request(script, environ=(), has_body=False, callable_object="application", handler="",
            reloads=True):
    """A REQUEST record."""
    facts = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "",
             "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
             "wsgi.url_scheme": "http", "mod_wsgi.request_id": "abc"}
    facts.update(environ)
    now = int(time.time() * 1e6)
    payload = struct.pack("<QQH", now - 2000, now - 1000, len(facts))
    payload += string(script) + string(handler) + string(callable_object)
    for name, value in facts.items():
        number = NAMES.get(name, 0)
        payload += struct.pack("B", number) + (b"" if number else string(name)) + string(value)
    return record(REQUEST, payload, (1 if has_body else 0) | (0 if reloads else 2))


class Closed(Exception):
    """The channel has ended."""


class Response:
    """What came for one request."""

    def __init__(self):
        self.status = self.reason = self.headers = self.outcome = self.failure = None
        self.data, self.logs, self.demands, self.files, self.kinds = [], [], [], [], []
        self.input = self.output = None

    @property
    def body(self):
        return b"".join(self.data)

    @property
    def log(self):
        return "\n".join(text for _, text in self.logs)

    def header(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Lanes:
    """The memory of a native worker's lanes: of which only the bell is used here."""

    BELL, LANE = 16 * 1024, 32 * 1024

    def __init__(self, threads):
        size = self.BELL + threads * self.LANE
        self.descriptor = os.memfd_create("wsgi-lanes", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, size)
        f_add_seals, f_seal_seal, f_seal_shrink, f_seal_grow = 1033, 1, 2, 4
        fcntl.fcntl(self.descriptor, f_add_seals, f_seal_seal | f_seal_shrink | f_seal_grow)
        memory = mmap.mmap(self.descriptor, size)
        self.awake = ctypes.c_uint32.from_buffer(memory)
        self.rung = (ctypes.c_uint64 * (self.BELL // 8 - 1)).from_buffer(memory, 8)

    def ring(self, thread):
        # Not atomic: a bit that the worker has cleared meanwhile rings twice, which does no harm.
        self.rung[thread // 64] |= 1 << thread % 64
        self.awake.value = 1
        futex, wake = {"x86_64": 202}.get(platform.machine(), 98), 1
        ctypes.CDLL(None).syscall(futex, ctypes.byref(self.awake), wake, 1)


class Channel:
    """httpd's end of a channel. `announce` is called when something was sent."""

    def __init__(self, sock, announce):
        self.socket, self.buffer, self.descriptors = sock, b"", []
        self.announce = announce
        sock.settimeout(TIMEOUT)

    def send(self, data):
        # So that nothing waits for the worker before it was told.
        sent = self.socket.send(data)
        self.announce()
        if sent < len(data):
            self.socket.sendall(data[sent:])
            self.announce()

    def _fill(self):
        data, ancillary, _, _ = self.socket.recvmsg(1 << 18, socket.CMSG_SPACE(16))
        for level, kind, value in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                # The descriptor belongs to the record that begins here.
                assert not self.buffer
                self.descriptors.extend(array.array("i", value[:len(value) // 4 * 4]))
        if not data:
            raise Closed
        self.buffer += data

    def next(self):
        while len(self.buffer) < 8:
            self._fill()
        length, kind, flags, zero = struct.unpack_from("<IBBH", self.buffer)
        assert zero == 0
        while len(self.buffer) < 8 + length:
            self._fill()
        payload, self.buffer = self.buffer[8:8 + length], self.buffer[8 + length:]
        return kind, flags, payload

    def read(self, response, until=END):
        """Reads records up to the first of a kind."""
        while True:
            kind, _, payload = self.next()
            response.kinds.append(kind)
            if kind == LOG:
                response.logs.append((payload[0], payload[1:].decode("utf-8", "replace")))
            elif kind == HEAD:
                self._head(response, payload)
            elif kind == DATA:
                response.data.append(payload)
            elif kind == DEMAND:
                response.demands.append(struct.unpack("<QQ", payload))
            elif kind == FILE:
                response.files.append((self.descriptors.pop(0),) + struct.unpack("<QQ", payload))
            elif kind == END:
                values = struct.unpack("<BHQQQQ", payload)
                response.outcome, response.failure = values[:2]
                response.input, response.output = values[4:]
            else:
                raise AssertionError("record of kind %d" % kind)
            if kind in (until, END):
                return response

    def _head(self, response, payload):
        assert response.status is None, "second HEAD"
        response.status, count = struct.unpack_from("<HH", payload)
        texts, at = [], 4
        while at < len(payload):
            length, = struct.unpack_from("<I", payload, at)
            texts.append(payload[at + 4:at + 4 + length].decode("latin-1"))
            at += 4 + length
        response.reason = texts[0]
        response.headers = list(zip(texts[1::2], texts[2::2]))
        assert len(response.headers) == count

    def exchange(self, *args, **kwargs):
        """One request without a body, or with one that is sent at once."""
        body = kwargs.pop("body", None)
        data = request(*args, has_body=body is not None, **kwargs)
        if body is not None:
            data += (record(BODY, body) if body else b"") + record(BODY_END, struct.pack("<H", 0))
        self.send(data)
        return self.read(Response())


class Daemon:
    """A worker process and its supervisor."""

    def __init__(self, python, directory, environment=None, **settings):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(TIMEOUT)
        self.link, self.channels, self.messages, self.lanes = ours, {}, [], None
        os.set_inheritable(theirs.fileno(), True)
        self.process = subprocess.Popen(
            [python, os.path.join(directory, "boot.py"), str(theirs.fileno())],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()], env=environment)
        theirs.close()
        try:
            self.hello = self.expect(HELLO)
            self.lanes = Lanes(settings.get("threads", 1)) if b"native" in self.hello else None
            if self.lanes:
                self.send(start(**settings), self.lanes.descriptor)
                os.close(self.lanes.descriptor)
            else:
                self.send(start(**settings))
            for thread in range(settings.get("threads", 1)):
                self.give_channel(thread, 0)
            self.loaded = self.expect(READY) == b"\1"
        except BaseException:
            self.kill()
            raise

    def send(self, message, descriptor=None):
        rights = array.array("i", [] if descriptor is None else [descriptor])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if rights else []
        self.link.sendmsg([message], ancillary)

    def give_channel(self, thread, epoch):
        ours, theirs = socket.socketpair()
        self.send(record(CHANNEL, struct.pack("<II", thread, epoch)), theirs.fileno())
        theirs.close()
        self.channels[thread] = Channel(ours, lambda: self.lanes and self.lanes.ring(thread))
        return self.channels[thread]

    def receive(self):
        datagram = self.link.recv(1 << 18)
        if not datagram:
            raise Closed(self.errors())
        length, kind, _, _ = struct.unpack_from("<IBBH", datagram)
        assert len(datagram) == 8 + length
        self.messages.append((kind, datagram[8:]))
        return self.messages[-1]

    def expect(self, wanted):
        for index, (kind, payload) in enumerate(self.messages):
            if kind == wanted:
                del self.messages[index]
                return payload
        while True:
            kind, payload = self.receive()
            if kind == wanted:
                self.messages.pop()
                return payload

    def logged(self):
        """Texts that came outside of requests."""
        return "\n".join(payload[5:].decode() for kind, payload in self.messages
                         if kind == SERVER_LOG)

    def wait_for_log(self, text):
        end = time.time() + TIMEOUT
        while text not in self.logged() and time.time() < end:
            self.receive()
        return self.logged()

    def errors(self):
        return self.process.communicate(timeout=TIMEOUT)[1].decode()

    def stop(self, reason="test"):
        """Orderly; returns the exit status."""
        self.link.send(record(STOP, string(reason)))
        return self.ended()

    def ended(self):
        try:
            while True:
                self.receive()
        except (Closed, OSError):
            pass
        try:
            return self.process.wait(TIMEOUT)
        finally:
            self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(TIMEOUT)
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()
        self.link.close()
        for channel in self.channels.values():
            channel.socket.close()


def settings():
    """Interpreter and directory under test."""
    if "WORKER" in os.environ:
        os.environ["MOD_WSGI_WORKER"] = os.environ["WORKER"]
    return os.environ.get("PYTHON", sys.executable), os.environ["WORKER_DIR"]


def is_pure(python):
    """True if the worker in Python alone serves it."""
    choice = ("import sys; sys.exit(sys.version_info < (3, 9) or 't' in sys.abiflags or "
              "sys.implementation.name != 'cpython')")
    return os.environ.get("WORKER") == "pure" or subprocess.call([python, "-c", choice]) != 0


def is_python_2(python):
    """True if strings are bytes there."""
    return subprocess.call([python, "-c", "import sys; sys.exit(sys.version_info[0])"]) == 2
