"""Python's native strings: ``str``, which is text in Python 3 and bytes in Python 2.

PEP 3333 wants native strings wherever WSGI says string; only bodies are bytes.
"""

import os
import re
import sys

from mod_wsgi_pure.names import ENVIRON_NAMES

PYTHON_2 = sys.version_info[0] == 2

# Python 2 takes surrogates for well-formed UTF-8, which nobody else does.
_SURROGATE = re.compile(b"\xed[\xa0-\xbf][\x80-\xbf]")

if PYTHON_2:
    def latin1(data):
        """The native string of bytes from HTTP."""
        return data

    path = text = latin1
    environ = dict

    def encode_path(name):
        """The bytes of a name in the file system."""
        return name

    # The syntax of either version is an error in the other.
    exec("def reraise(kind, error, frames):\n    raise kind, error, frames\n")
else:
    def latin1(data):
        """The native string of bytes from HTTP."""
        return data.decode("latin-1")

    def text(data):
        """The native string of well-formed UTF-8."""
        return data.decode("utf-8")

    path, encode_path = os.fsdecode, os.fsencode

    _KNOWN = dict((name, name.decode("ascii")) for name in ENVIRON_NAMES)
    _PATHS = ("SCRIPT_FILENAME", "DOCUMENT_ROOT")

    def environ(entries):
        """The environ of names and values as they came."""
        known = _KNOWN.get
        values = {known(name) or name.decode("latin-1"): value.decode("latin-1")
                  for name, value in entries}
        for name in _PATHS:
            if name in values:
                values[name] = path(values[name].encode("latin-1"))
        return values

    def reraise(kind, error, frames):
        """Raises again what was caught."""
        raise error.with_traceback(frames)


def encode(value):
    """Bytes for a log or a record: UTF-8 of text, bytes as they are."""
    return value if isinstance(value, bytes) else value.encode("utf-8", "backslashreplace")


def is_utf8(data):
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not _SURROGATE.search(data)


def as_utf8(data):
    """Well-formed UTF-8, with U+FFFD for what was not."""
    data = data.decode("utf-8", "replace").encode("utf-8")
    return _SURROGATE.sub(b"\xef\xbf\xbd", data)
