"""The pure worker's records against the protocol's vectors, in any Python.

    PYTHONPATH=python python2.7 -m unittest discover -s python/tests -p test_pure.py
"""

import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))

from mod_wsgi_pure import codec, names, native, records

PROTO = os.path.join(HERE, "..", "..", "crates", "wsgi-proto")


def vectors(name):
    """Name, bytes and the other lines of each vector."""
    with open(os.path.join(PROTO, "vectors", name), "rb") as source:
        stanzas = source.read().decode("ascii").strip().split("\n\n")[1:]
    for stanza in stanzas:
        lines = [line.partition(":")[::2] for line in stanza.split("\n")]
        lines = [(key, value[1:]) for key, value in lines]
        assert lines[0][0] == "name"
        data = b"".join(piece(token) for key, value in lines if key == "hex"
                        for token in value.split())
        yield lines[0][1], data, [line for line in lines[1:] if line[0] != "hex"]


def piece(token):
    digits, _, count = token.partition("*")
    return bytes(bytearray.fromhex(digits)) * int(count or 1)


def unescaped(text):
    def byte(match):
        return bytes(bytearray([int(match.group(1), 16)])) * int(match.group(2) or 1)
    return re.sub(br"\\x([0-9a-f]{2})(?:\{(\d+)\})?", byte, text.encode("ascii"))


def whole(data):
    """Every record in the bytes of a channel."""
    while data:
        size = codec.HEAD.size
        record, length, flags = records.head(data[:size])
        yield record, flags, record.read(data[size:size + length])
        data = data[size + length:]


def shown(form, value):
    """The texts that a vector has for a field's value."""
    if form is codec.BOOL:
        return [b"true" if value else b"false"]
    if isinstance(form, codec.Number):
        text = repr(value) if form is codec.F64 else str(value)
        return [re.sub(r"\.0$", "", text.rstrip("L")).encode("ascii")]
    if isinstance(form, codec.Option):
        return [] if value is None else shown(form.inner, value)
    if isinstance(form, codec.List):
        return [text for item in value for text in shown(form.inner, item)]
    if isinstance(form, codec.Path):
        return [native.encode_path(value)]
    return [native.encode(value)]


def fields(record, flags, values):
    """The lines of a vector."""
    lines = [("record", record.name.encode("ascii"))]
    if record is records.REQUEST:
        lines += [("body", b"true" if flags & records.FLAG_BODY else b"false")]
        lines += [("no_reload", b"true")] if flags & records.FLAG_NO_RELOAD else []
        lines += [("cpu_time", b"true")] if flags & records.FLAG_CPU else []
        for key in ("request_start", "queue_start"):
            lines.append((key, str(values[key]).encode("ascii")))
        lines += [(key, values[key]) for key in ("script", "handler_script", "callable_object")]
        return lines + [("entry", name + b"=" + value) for name, value in values["environ"]]
    if record is records.HEAD_RECORD:
        lines += [("status", str(values["status"]).encode("ascii")), ("reason", values["reason"])]
        return lines + [("header", name + b"=" + value) for name, value in values["headers"]]
    if record is records.DATA:
        lines.append(("more", b"true" if flags else b"false"))
    for name, form in record.fields:
        if name == "outcome":
            lines.append((name, [b"complete", b"failed", b"aborted"][values[name]]))
        elif record is not records.END or name != "status" or values["status"]:
            lines += [(name, text) for text in shown(form, values[name])]
    return lines


def wanted(lines):
    return [(re.sub("^(known|named)$", "entry", key), unescaped(text)) for key, text in lines]


class Vectors(unittest.TestCase):
    def same(self, name, record, flags, values, data, lines):
        found = fields(record, flags, values)
        self.assertEqual(sorted(found), sorted(wanted(lines)), name)
        if record is not records.REQUEST:
            self.assertEqual(record.write(values, flags), data, name)

    def test_channel(self):
        for name, data, lines in vectors("channel.txt"):
            (record, flags, values), = whole(data)
            self.same(name, record, flags, values, data, lines)

    def test_channel_malformed(self):
        for name, data, lines in vectors("channel_malformed.txt"):
            with self.assertRaises(codec.Malformed) as caught:
                list(whole(data))
            self.assertEqual(caught.exception.error, lines[0][1].split()[0], name)

    def test_channel_stream(self):
        for name, data, lines in vectors("channel_stream.txt"):
            found = [("record", record.name) for record, _, _ in whole(data)]
            self.assertEqual(found, lines, name)

    def test_daemon(self):
        for name, data, lines in vectors("daemon.txt"):
            record, values = records.datagram(data)
            self.same(name, record, 0, values, data, lines)

    def test_daemon_malformed(self):
        for name, data, lines in vectors("daemon_malformed.txt"):
            with self.assertRaises(codec.Malformed) as caught:
                records.datagram(data)
            self.assertEqual(caught.exception.error, lines[0][1].split()[0], name)

    def test_names(self):
        with open(os.path.join(PROTO, "src", "channel", "names.rs")) as source:
            table = source.read().split("ENVIRON_NAMES: &[&str] = &[", 1)[1].split("];", 1)[0]
        self.assertEqual([name.encode("ascii") for name in re.findall('"([^"]+)"', table)],
                         names.ENVIRON_NAMES)


class Choice(unittest.TestCase):
    @unittest.skipIf(sys.version_info < (3, 9), "older Pythons have the worker in Python alone")
    def test_without_gil(self):
        import boot
        import shutil
        import tempfile
        from importlib.machinery import EXTENSION_SUFFIXES
        folder, flags = tempfile.mkdtemp(), sys.abiflags
        sys.path.insert(0, folder)
        try:
            sys.abiflags = ""
            self.assertTrue(boot.has_native())
            sys.abiflags = "t"
            self.assertFalse(boot.has_native())
            open(os.path.join(folder, "_mod_wsgi_worker.abi3.so"), "w").close()
            self.assertFalse(boot.has_native())
            open(os.path.join(folder, "_mod_wsgi_worker" + EXTENSION_SUFFIXES[0]), "w").close()
            self.assertTrue(boot.has_native())
        finally:
            sys.abiflags = flags
            sys.path.remove(folder)
            shutil.rmtree(folder)


if __name__ == "__main__":
    unittest.main()
