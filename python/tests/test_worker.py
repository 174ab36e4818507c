"""Behaviour of a worker on both its links, without httpd.

    PYTHON=/usr/bin/python3.12 WORKER_DIR=… python3 -m unittest test_worker

WORKER=pure has Pythons that the native worker can serve served by the other.
"""

import ast
import hashlib
import os
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import textwrap
import time
import unittest

import wire
from wire import ABORTED, COMPLETE, DATA, DEMAND, FAILED, HEAD, Daemon, Response, record

PYTHON, DIRECTORY = wire.settings()
PYTHON_2 = wire.is_python_2(PYTHON)
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "application.py")


def body_end(status=0):
    return record(wire.BODY_END, struct.pack("<H", status))


def wait_for_file(path):
    end = time.time() + wire.TIMEOUT
    while not os.path.exists(path):
        assert time.time() < end, path + " does not appear"
        time.sleep(0.01)


class Case(unittest.TestCase):
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(PYTHON, DIRECTORY, **cls.settings)
        cls.channel = cls.daemon.channels[0]

    @classmethod
    def tearDownClass(cls):
        assert cls.daemon.stop() == 0

    def get(self, path, environ=(), **kwargs):
        return self.channel.exchange(SCRIPT, dict(environ, PATH_INFO="/" + path), **kwargs)

    def lines(self, path, environ=(), **kwargs):
        response = self.get(path, environ, **kwargs)
        self.assertEqual((response.outcome, response.status), (COMPLETE, 200), response.log)
        return response.body.decode().splitlines()

    def assertFails(self, response, status, *logged):
        self.assertEqual((response.outcome, response.failure), (FAILED, status))
        self.assertIsNone(response.status)
        for text in logged:
            self.assertIn(text, response.log)


class Fresh(unittest.TestCase):
    """Tests with a daemon each."""

    def start(self, environment=None, **settings):
        daemon = Daemon(PYTHON, DIRECTORY, environment, **settings)
        self.addCleanup(daemon.kill)
        return daemon


class Modules(Case):
    def test_stubs_say_what_is_there(self):
        expected = []
        for module in "mod_wsgi", "apache":
            path = os.path.join(DIRECTORY, module, "__init__.pyi")
            if not os.path.exists(path):
                path = os.path.join(DIRECTORY, module + ".pyi")
            with open(path) as source:
                for item in ast.parse(source.read()).body:
                    name = getattr(item, "name", None) or getattr(
                        getattr(item, "target", None), "id", "_")
                    if not name.startswith("_"):
                        arguments = [a.arg for a in item.args.args] if hasattr(item, "args") else []
                        expected.append(" ".join([module, name] + arguments))
        self.assertEqual(sorted(self.lines("stubs")), sorted(expected))


class Responses(Case):
    def test_list(self):
        response = self.get("repeated")
        self.assertEqual((response.status, response.reason), (200, "Sch\xf6n"))
        self.assertEqual(response.header("Set-Cookie"), ["a=1", "b=\xfc"])

    def test_stream(self):
        response = self.get("stream")
        self.assertEqual(response.data, [b"one", b"two", b"three"])
        self.assertEqual(self.lines("count_closed"), ["1"])

    def test_write(self):
        response = self.get("write")
        self.assertEqual((response.status, response.data), (201, [b"one", b"two", b"three"]))

    def test_big(self):
        response = self.get("big")
        self.assertEqual(response.body, b"x" * 3000000 + b"y" * 10)
        self.assertLessEqual(max(map(len, response.data)), 1 << 20)
        self.assertEqual(response.output, 3000010)

    def test_many(self):
        self.assertEqual(self.get("many").body, b"0123456789" * 100000)

    def test_empty(self):
        response = self.get("empty")
        self.assertEqual((response.outcome, response.status, response.data), (COMPLETE, 204, []))

    def test_exceptions(self):
        self.assertFails(self.get("early"), 500, "MWR3020", "Traceback", "KeyError: 'early'")
        self.assertFails(self.get("lazy"), 500, "KeyError: 'lazy'")
        response = self.get("late")
        self.assertEqual((response.outcome, response.body), (ABORTED, b"one"))
        self.assertIn("KeyError: 'late'", response.log)
        self.assertEqual(self.lines("count_closed"), ["2"])
        self.assertFails(self.get("exits"), 500, "MWR3021")
        self.assertFails(self.get("timeout"), 504, "MWR3022")

    def test_close_fails(self):
        response = self.get("close_fails")
        self.assertEqual((response.outcome, response.body), (COMPLETE, b"one"))
        self.assertIn("MWR3023", response.log)
        self.assertEqual(self.lines("count_closed"), ["1"])

    def test_protocol_errors(self):
        self.assertFails(self.get("not_started"), 500, "start_response")
        self.assertFails(self.get("never_started"), 500, "MWR3024")
        self.assertFails(self.get("none"), 500, "NoneType")
        if PYTHON_2:
            self.assertEqual(self.get("raw_bytes").body, b"bytes")
            self.assertEqual(self.get("string").body, b"text")
            self.assertFails(self.get("wide"), 500, "value of type unicode")
        else:
            self.assertFails(self.get("raw_bytes"), 500, "value of type int")
            self.assertFails(self.get("string"), 500, "value of type str")

    def test_exc_info(self):
        response = self.get("recovers")
        self.assertEqual((response.status, response.reason, response.body), (500, "Oops", b"sorry"))
        response = self.get("recovers_late")
        self.assertEqual((response.outcome, response.status), (ABORTED, 200))
        self.assertIn(b"without exc_info", response.body)
        self.assertIn("too late", response.log)

    def test_content_length(self):
        response = self.get("long")
        self.assertEqual((response.outcome, response.body), (COMPLETE, b"abcde"))
        self.assertEqual(response.log.count("MWR3025"), 1)
        response = self.get("short")
        self.assertEqual((response.outcome, response.body), (ABORTED, b"abc"))
        self.assertIn("MWR3026", response.log)
        response = self.get("short", {"REQUEST_METHOD": "HEAD"})
        self.assertEqual((response.outcome, response.log), (COMPLETE, ""))
        response = self.get("delegated")
        self.assertEqual((response.outcome, response.status), (COMPLETE, 200))

    def test_validation(self):
        type_error, value_error = "TypeError", "ValueError"
        unicode_error = type_error if PYTHON_2 else "UnicodeEncodeError"
        self.assertEqual(self.lines("validation"), [
            type_error, "fine", value_error, value_error, value_error, value_error, value_error,
            unicode_error, type_error, type_error, type_error, type_error, type_error,
            value_error, value_error, value_error, value_error, value_error, value_error,
            unicode_error, "fine", value_error, value_error, value_error, "RuntimeError"])

    def test_hop_by_hop(self):
        response = self.get("hop_by_hop")
        self.assertEqual(response.headers, [("Content-Type", "text/plain")])
        self.assertIn((4, "MWR3027"), [(level, text[:7]) for level, text in response.logs])

    def test_cancel(self):
        self.channel.send(wire.request(SCRIPT, {"PATH_INFO": "/paced"}))
        response = self.channel.read(Response(), until=DATA)
        self.channel.send(record(wire.CANCEL))
        begin = time.time()
        self.channel.read(response)
        self.assertLess(time.time() - begin, 2)
        self.assertEqual(response.outcome, ABORTED)
        self.assertEqual(self.lines("count_closed"), ["1"])

    def test_framing_with_threads(self):
        response = self.get("parallel")
        self.assertEqual(len(response.body), 50000)
        self.assertEqual(sorted(int(text) for _, text in response.logs), list(range(20)))


class Requests(Case):
    settings = {"application_group": "app|x", "multiprocess": True, "processes": 3}

    def test_environ(self):
        environ = {"HTTP_X_TEST": "\xe9".encode("latin-1"), "REMOTE_USER": "me", "trac.env_path": "/x",
                   "SCRIPT_FILENAME": "/tmp/\u20ac", "QUERY_STRING": ""}
        lines = self.lines("environ", environ)
        if PYTHON_2:
            lines = [line.encode().decode("unicode_escape") for line in lines]
            lines = [line.encode("latin-1").decode() if "SCRIPT_F" in line else line
                     for line in lines]
        for expected in ("HTTP_X_TEST='\xe9'", "REMOTE_USER='me'", "trac.env_path='/x'",
                         "SCRIPT_FILENAME='/tmp/\u20ac'", "QUERY_STRING=''", "wsgi.version=(1, 0)",
                         "wsgi.multithread=False", "wsgi.multiprocess=True", "wsgi.run_once=False",
                         "wsgi.input_terminated=True", "wsgi.url_scheme='http'",
                         "mod_wsgi.version=(0, 1, 0)", "apache.version=(2, 4, 71)",
                         "mod_wsgi.process_group='group'", "mod_wsgi.application_group='app|x'",
                         "mod_wsgi.thread_id=1", "mod_wsgi.request_id='abc'"):
            self.assertIn(expected, lines)
        times = dict(line.split("=", 1) for line in lines if "_start=" in line)
        order = [float(times["mod_wsgi." + name + "_start"])
                 for name in ("request", "queue", "daemon", "application")]
        self.assertEqual(order, sorted(order))
        self.assertLess(abs(order[0] - time.time()), 60)

    def test_environ_is_new(self):
        names = lambda lines: {line.split("=")[0] for line in lines}
        one = self.lines("environ", {"HTTP_A": "1", "HTTP_B": "2"})
        two = self.lines("environ", {"HTTP_A": "3", "HTTP_B": "2"})
        self.assertIn("HTTP_A='3'", two)
        self.assertEqual(names(one), names(two))
        self.assertNotIn("HTTP_B", names(self.lines("environ", {"HTTP_A": "3"})))
        self.assertIn("HTTP_C='2'", self.lines("environ", {"HTTP_A": "3", "HTTP_C": "2"}))
        longer = self.lines("environ", {"HTTP_A": "33", "HTTP_C": "2"})
        again = self.lines("environ", {"HTTP_A": "33", "HTTP_C": "4"})
        self.assertLessEqual({"HTTP_A='33'", "HTTP_C='2'"}, set(longer))
        self.assertLessEqual({"HTTP_A='33'", "HTTP_C='4'"}, set(again))

    def test_large(self):
        for size in (65000, 66000, 300000, 10):
            lines = self.lines("environ", {"HTTP_COOKIE": "x" * size})
            self.assertIn("HTTP_COOKIE=%r" % ("x" * size), lines)
            body = b"y" * 60000
            response = self.get("echo", {"HTTP_COOKIE": "x" * size}, body=body)
            self.assertEqual(response.body.decode().strip(), hashlib.md5(body).hexdigest())

    def test_body_at_once(self):
        body = os.urandom(5000)
        response = self.get("echo", {"CONTENT_LENGTH": "5000"}, body=body)
        self.assertEqual(response.body.decode().strip(), hashlib.md5(body).hexdigest())
        self.assertEqual((response.demands, response.input), ([], 5000))

    def upload(self, path, body, environ=(), size=100000):
        """Sends body only against DEMAND."""
        self.channel.send(wire.request(SCRIPT, dict(environ, PATH_INFO="/" + path), has_body=True))
        response, sent = Response(), 0
        while True:
            self.channel.read(response, until=DEMAND)
            if response.outcome is not None:
                return response
            need, window = response.demands[-1]
            self.assertGreaterEqual(window, need)
            while sent < min(need, len(body)):
                piece = body[sent:sent + size]
                self.channel.send(record(wire.BODY, piece))
                sent += len(piece)
            if sent == len(body):
                self.channel.send(body_end())

    def test_upload(self):
        body = os.urandom(3000001)
        for environ in ({}, {"CONTENT_LENGTH": str(len(body))}, {"CONTENT_LENGTH": "100000"}):
            response = self.upload("echo", body, environ)
            self.assertEqual(response.body.decode().strip(), hashlib.md5(body).hexdigest())
            self.assertEqual(response.input, len(body))
            self.assertLessEqual(len(response.demands), 3)

    def test_silence_until_a_demand_is_met(self):
        go = os.path.join(tempfile.mkdtemp(), "go")
        environ = {"PATH_INFO": "/murmurs", "GO": go}
        self.channel.send(wire.request(SCRIPT, environ, has_body=True))
        response = self.channel.read(Response(), until=DEMAND)
        open(go, "w").close()
        wait_for_file(go + ".said")
        self.assertFalse(select.select([self.channel.socket], [], [], 0)[0], "it spoke")
        self.channel.send(record(wire.BODY, b"0123456789") + body_end())
        self.channel.read(response)
        self.assertEqual((response.body, response.log), (b"10\n", "murmured"))

    def test_reads(self):
        expected = [b"", b"abc", b"def\n", b"gh", b"i\n", [b"jk\n"], b"lmn\no", b"p\nq", b"", b"", []]
        body = b"abcdef\nghi\njk\nlmn\nop\nq"
        for size in (1, 4, 1000):
            response = self.upload("reads", body, size=size)
            shown = [repr(item).replace("b'", "'") if PYTHON_2 else repr(item) for item in expected]
            self.assertEqual(response.body.decode().splitlines(), shown + ["'TypeError'"])

    def test_lines(self):
        body = b"".join(b"%d" % n * (n % 50) + b"\n" for n in range(20000)) + b"end"
        response = self.upload("lines", body)
        self.assertEqual(response.body.split(), [b"20001", b"%d" % len(body)])

    def test_unread_body(self):
        self.assertEqual(self.get("write", body=b"x" * 60000).outcome, COMPLETE)
        self.assertEqual(self.get("write").outcome, COMPLETE)

    def test_read_error(self):
        self.channel.send(wire.request(SCRIPT, {"PATH_INFO": "/read_error"}, has_body=True)
                          + record(wire.BODY, b"part") + body_end(413))
        response = self.channel.read(Response())
        lines = response.body.decode().splitlines()
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.assertTrue(line.startswith("mod_wsgi request data read error"))
        self.channel.send(wire.request(SCRIPT, {"PATH_INFO": "/read_raises"}, has_body=True)
                          + body_end(413))
        self.assertFails(self.channel.read(Response()), 413)

    def test_cancelled_read(self):
        self.channel.send(wire.request(SCRIPT, {"PATH_INFO": "/read_raises"}, has_body=True))
        self.channel.read(Response(), until=DEMAND)
        self.channel.send(record(wire.CANCEL))
        self.assertFails(self.channel.read(Response()), 499)
        self.assertEqual(self.get("write").outcome, COMPLETE)

    def test_callable(self):
        self.assertEqual(self.lines("", callable_object="other"), ["other callable"])
        self.assertFails(self.get("", callable_object="nothing"), 500, "MWR3013")

    def test_kept_objects(self):
        self.lines("keep")
        self.assertEqual(self.lines("use_kept"), ["RuntimeError"] * 3 + ["False"])


class Streams(Case):
    def test_logs(self):
        response = self.get("logs")
        self.assertEqual(response.body.decode().splitlines(), [
            "<wsgi.errors>", "False", "utf-8", "False", "1", "2", "False", "utf-8"])
        self.assertEqual(response.logs, [
            (3, "first"), (3, "second \u20ac"), (3, "printed"), (3, "to stderr"), (3, "bytes"),
            (4, "warned 5"), (3, "no newline"), (3, "last")])
        self.assertIn("from a thread", self.daemon.wait_for_log("from a thread"))
        self.assertIn((3, "to stderr"), self.get("logs").logs)

    def test_restrictions(self):
        response = self.get("restricted")
        error = "IOError" if PYTHON_2 else "OSError"
        self.assertEqual(response.body.decode().splitlines()[::2], [error, "True"])
        self.assertIn("MWR3033", response.log)

    def test_module(self):
        lines = self.lines("module")
        self.assertEqual(lines, [
            "(0, 1, 0)", "group", "", "1", "1", "{'abc': {'x': 1}}", "None", "None", "None",
            "(2, 4, 71)", "event", "Apache/2.4.71", "['mod_wsgi']", "mod_wsgi-1", "True", "True",
            SCRIPT, "['RuntimeError']"] + 2 * [
                "ImportError" if PYTHON_2 else "ModuleNotFoundError"])

    def test_forks(self):
        self.assertEqual(self.lines("forks"), ["-15", "0"])

    def test_spawns(self):
        self.assertEqual(self.lines("spawns"), ["[1, 2]"])


class Files(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.file = tempfile.NamedTemporaryFile()
        cls.file.write(b"0123456789" * 1000)
        cls.file.flush()
        cls.addClassCleanup(cls.file.close)

    def check(self, environ, offset, length, announced):
        response = self.get("file", dict(environ, PATH_FILE=self.file.name))
        self.assertEqual(response.header("Content-Length"), [announced])
        self.assertEqual(response.data, [])
        (descriptor, *range), = response.files
        self.assertEqual(range, [offset, length])
        self.assertEqual(os.pread(descriptor, 5, offset), b"01234")
        os.close(descriptor)
        self.assertEqual(response.output, length)
        return response

    def test_whole(self):
        self.assertEqual(self.check({}, 0, 10000, "10000").outcome, COMPLETE)

    def test_offset(self):
        self.assertEqual(self.check({"OFFSET": "100"}, 100, 9900, "9900").outcome, COMPLETE)

    def test_length(self):
        self.assertEqual(self.check({"LENGTH": "50"}, 0, 50, "50").outcome, COMPLETE)

    def test_too_short(self):
        self.assertEqual(self.check({"LENGTH": "10001"}, 0, 10000, "10001").outcome, ABORTED)

    def test_iterated(self):
        response = self.get("wrapped")
        self.assertEqual((response.body, response.files), (b"z" * 20000, []))
        self.assertEqual(list(map(len, response.data)), [8192, 8192, 3616])


class Scripts(Fresh):
    def script(self, source):
        self.directory = self.directory if hasattr(self, "directory") else tempfile.mkdtemp()
        path = os.path.join(self.directory, "app.wsgi")
        with open(path, "wb") as script:
            script.write(textwrap.dedent(source).encode())
        return path

    def test_failure_is_not_cached(self):
        path = self.script("import nothing_of_this_name\n")
        daemon = self.start(preload=[path])
        self.assertFalse(daemon.loaded)
        self.assertIn("nothing_of_this_name", daemon.logged())
        response = daemon.channels[0].exchange(path)
        self.assertEqual((response.outcome, response.failure), (FAILED, 500))
        self.assertIn("MWR3011", response.log)
        self.script("def application(e, s):\r\n  s('200 OK', [])\r\n  return []\r\n  # end")
        self.assertEqual(daemon.channels[0].exchange(path).status, 200)
        missing = daemon.channels[0].exchange(path + "x")
        self.assertIn("No such file", missing.log)
        self.assertEqual(daemon.stop(), 0)

    def test_removed_from_modules(self):
        path = self.script("""
            import sys
            count = 0
            del sys.modules[__name__]
            def application(environ, start_response):
                global count
                count += 1
                start_response('200 OK', [])
                return [str(count).encode()]""")
        daemon = self.start()
        self.assertEqual(daemon.channels[0].exchange(path).body, b"1")
        self.assertEqual(daemon.channels[0].exchange(path).body, b"2")
        self.assertEqual(os.listdir(self.directory), ["app.wsgi"])
        self.assertEqual(daemon.stop(), 0)

    def test_handler_script(self):
        path = self.script("""
            def handle_request(environ, start_response):
                start_response('200 OK', [])
                return [b'handled']""")
        daemon = self.start()
        self.assertEqual(daemon.channels[0].exchange("/nowhere", handler=path).body, b"handled")
        self.assertEqual(daemon.stop(), 0)

    def test_end(self):
        path = self.script("""
            from __future__ import print_function
            import atexit, sys, threading, time, mod_wsgi
            atexit.register(print, 'at exit')
            @mod_wsgi.subscribe_shutdown
            def stopping(name, **event):
                print(name, event)
                raise KeyError('callback')
            threading.Thread(target=lambda: (time.sleep(1.5), print('thread ends'))).start()
            def application(environ, start_response):
                start_response('200 OK', [])
                yield b'one'
                time.sleep(0.5)
                yield b'two'
        """)
        daemon = self.start(preload=[path])
        daemon.channels[0].send(wire.request(path))
        response = daemon.channels[0].read(Response(), until=DATA)
        daemon.link.send(record(wire.STOP, wire.string("test")))
        daemon.channels[0].read(response)
        self.assertEqual((response.outcome, response.body), (COMPLETE, b"onetwo"))
        self.assertEqual(daemon.ended(), 0)
        logged = daemon.logged()
        order = ["process_stopping {'shutdown_reason': 'test'}", "KeyError: 'callback'",
                 "thread ends", "at exit"]
        self.assertEqual(sorted(order, key=logged.find), order)
        self.assertNotIn(-1, map(logged.find, order), logged)


class Life(Fresh):
    def test_channel_replaced(self):
        daemon = self.start(threads=2)
        for lose in (lambda channel: channel.socket.close(),
                     lambda channel: channel.send(record(99)),
                     lambda channel: channel.send(wire.request(SCRIPT, {"PATH_INFO": "/paced"})[:50])
                     or channel.socket.close(),
                     lambda channel: channel.send(wire.request(SCRIPT, {"PATH_INFO": "/paced"}))
                     or channel.read(Response(), until=HEAD) and channel.socket.close()):
            del daemon.messages[:]
            lose(daemon.channels[1])
            lost = daemon.expect(wire.CHANNEL_LOST)
            channel = daemon.give_channel(1, 7)
            while daemon.expect(wire.CHANNEL_READY) != struct.pack("<II", 1, 7):
                pass
            self.assertEqual(lost[:4], struct.pack("<I", 1))
            response = channel.exchange(SCRIPT, {"PATH_INFO": "/environ"})
            self.assertIn("mod_wsgi.thread_id=", response.body.decode())
            self.assertIn("wsgi.multithread=True", response.body.decode())
        self.assertEqual(daemon.stop(), 0)

    def test_signals(self):
        daemon = self.start()
        begin = time.time()
        for number, reason in 3 * ((signal.SIGTERM, "shutdown_signal"),
                                   (signal.SIGINT, "shutdown_signal"),
                                   (signal.SIGUSR1, "graceful_signal")):
            daemon.process.send_signal(number)
            self.assertEqual(daemon.expect(wire.RECYCLE), wire.string(reason))
        self.assertLess(time.time() - begin, 6)  # not at the look that comes each second
        daemon.process.send_signal(signal.SIGHUP)
        response = daemon.channels[0].exchange(SCRIPT, {"PATH_INFO": "/write"})
        self.assertEqual(response.status, 201)
        self.assertEqual(daemon.stop(), 0)

    def test_probe(self):
        daemon = self.start()
        daemon.link.send(record(wire.PROBE))
        self.assertEqual(daemon.expect(wire.ALIVE), b"")
        self.assertEqual(daemon.stop(), 0)

    def test_trace(self):
        directory = tempfile.mkdtemp()
        script = os.path.join(directory, "nap.wsgi")
        with open(script, "w") as source:
            source.write("import os, time\ndef application(e, s):\n  s('200 OK', [])\n"
                         "  open(__file__ + '.inside', 'w').close()\n"
                         "  while not os.path.exists(__file__ + '.go'): time.sleep(0.01)\n"
                         "  return [b'fine']\n")
        daemon = self.start(preload=[script])
        channel = daemon.channels[0]
        channel.send(wire.request(script))
        wait_for_file(script + ".inside")

        def trace(age):
            daemon.link.send(record(wire.TRACE, struct.pack("<II", 0, age)))
            thread, length = struct.unpack_from("<II", daemon.expect(wire.TRACED) + b"", 0)
            self.assertEqual(thread, 0)
            return length

        self.assertEqual(trace(60000), 0)  # not this request
        self.assertGreater(trace(0), 0)
        open(script + ".go", "w").close()
        self.assertEqual(channel.read(Response()).body, b"fine")
        self.assertEqual(trace(0), 0)      # none
        self.assertEqual(daemon.stop(), 0)

    def test_interrupt(self):
        directory = tempfile.mkdtemp()
        script = os.path.join(directory, "spin.wsgi")
        with open(script, "w") as source:
            source.write("def application(e, s):\n  if e['PATH_INFO'] == '/spin':\n"
                         "    open(__file__ + '.inside', 'w').close()\n    while 1:\n"
                         "      pass\n  s('200 OK', [])\n  return [b'fine']\n")
        daemon = self.start(preload=[script])
        channel = daemon.channels[0]
        channel.send(wire.request(script, {"PATH_INFO": "/spin"}))
        wait_for_file(script + ".inside")

        def interrupt(age, with_exception):
            payload = struct.pack("<IIB", 0, age, with_exception)
            daemon.link.send(record(wire.INTERRUPT, payload))

        interrupt(60000, True)   # not this request
        interrupt(0, False)
        self.assertIn("spin.wsgi\", line", daemon.wait_for_log("MWR3050"))
        interrupt(0, True)
        response = channel.read(Response())
        self.assertEqual((response.outcome, response.failure), (FAILED, 504))
        interrupt(0, True)       # none
        daemon.link.send(record(wire.PROBE))
        daemon.expect(wire.ALIVE)  # so it was not one of those that follow
        for _ in range(5):
            self.assertEqual(channel.exchange(script).body, b"fine")
        self.assertEqual(daemon.stop(), 0)

    def test_loaded_and_changed(self):
        directory = tempfile.mkdtemp()
        paths = [os.path.join(directory, name) for name in ("one", "two")]
        for path in paths:
            with open(path, "w") as source:
                source.write("def application(e, s):\n  s('200 OK', [])\n  return []\n")
        daemon = self.start(preload=paths[:1])
        channel = daemon.channels[0]
        self.assertEqual(channel.exchange(paths[0]).status, 200)
        self.assertEqual(channel.exchange(paths[1], reloads=False).status, 200)
        self.assertEqual(daemon.expect(wire.LOADED), wire.string(paths[1]))
        os.utime(paths[1], (1, 1))
        time.sleep(2.5)
        os.utime(paths[0], (2, 2))
        reason = wire.string("script_reload")
        self.assertEqual(daemon.expect(wire.RECYCLE), reason)
        daemon.link.settimeout(1.5)
        self.assertRaises(OSError, daemon.expect, wire.RECYCLE)  # told once
        daemon.link.settimeout(wire.TIMEOUT)
        os.utime(paths[0], (1, 1))
        self.assertEqual(daemon.expect(wire.RECYCLE), reason)
        self.assertEqual(daemon.stop(), 0)

    def test_supervisor_dies(self):
        daemon = self.start()
        daemon.link.close()
        time.sleep(0.2)
        self.assertEqual(daemon.channels[0].exchange(SCRIPT, {"PATH_INFO": "/write"}).status, 201)
        daemon.channels[0].socket.close()
        self.assertEqual(daemon.process.wait(10), 0)
        daemon.kill()

    def test_supervisor_dies_and_signal(self):
        daemon = self.start()
        daemon.link.close()
        time.sleep(0.2)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.process.wait(10), 0)
        daemon.kill()

    def test_title(self):
        title = "(wsgi:%s)" % ("very-long-name-" * 20)
        environment = dict(os.environ, WORKER_TEST="value")
        daemon = self.start(environment, display_name=title)
        with open("/proc/%d/cmdline" % daemon.process.pid, "rb") as cmdline:
            self.assertEqual(cmdline.read().rstrip(b"\0").decode(), title)
        response = daemon.channels[0].exchange(SCRIPT, {"PATH_INFO": "/getenv"})
        self.assertEqual(response.body.split(), [b"value" if PYTHON_2 else b"b'value'", b"value"])
        self.assertEqual(daemon.stop(), 0)

    def test_own_worker(self):
        """A native worker for this interpreter alone goes before the one for all."""
        if wire.is_pure(PYTHON):
            self.skipTest("the native worker does not serve this Python")
        suffix = subprocess.check_output([
            PYTHON, "-c", "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))"])
        name = "_mod_wsgi_worker" + suffix.decode().strip()
        with tempfile.TemporaryDirectory() as folder:
            directory = os.path.join(folder, "worker")
            shutil.copytree(DIRECTORY, directory)
            own = os.path.join(directory, name)
            if not os.path.exists(own):
                shutil.copy(os.path.join(directory, "_mod_wsgi_worker.abi3.so"), own)
            script = os.path.join(folder, "app.wsgi")
            with open(script, "w") as source:
                source.write("import _mod_wsgi_worker\ndef application(e, s):\n s('200 OK', [])\n"
                             " return [_mod_wsgi_worker.__file__.encode()]\n")
            daemon = Daemon(PYTHON, directory)
            self.addCleanup(daemon.kill)
            self.assertEqual(daemon.channels[0].exchange(script).body.decode(), own)
            self.assertEqual(daemon.stop(), 0)

    def test_path(self):
        home, one, two = (tempfile.mkdtemp() for _ in range(3))
        with open(os.path.join(one, "x.pth"), "w") as pth:
            pth.write(two + "\n")
        script = os.path.join(home, "app.wsgi")
        with open(script, "w") as source:
            source.write("import sys\ndef application(e, s):\n s('200 OK', [])\n"
                         " return ['\\n'.join(sys.path).encode()]\n")
        daemon = self.start(home=home, python_path=[one], locale="xx_XX")
        path = daemon.channels[0].exchange(script).body.decode().splitlines()
        self.assertEqual(path[:3], [home, one, two])
        self.assertNotIn(DIRECTORY, path)
        self.assertIn("MWR3031", daemon.logged())
        self.assertIn("MWR3030", daemon.logged())
        self.assertEqual(daemon.stop(), 0)


if __name__ == "__main__":
    unittest.main()
