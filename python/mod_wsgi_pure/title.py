"""The process's title, as ``ps`` shows it; needs ctypes and Linux.

*Threads:* the main thread, before there are others.
"""

import os

from mod_wsgi_pure import native

_PR_SET_NAME = 15


def set_title(title):
    """Shows ``title`` in full length: it takes the place of the arguments and of
    the environment, whose values move elsewhere. Raises OSError, ImportError."""
    import ctypes
    library = ctypes.CDLL(None)
    library.setenv.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]
    begin, end = _area()
    # Setting a variable to what it is makes the C library copy it.
    for name, value in getattr(os, "environb", os.environ).items():
        library.setenv(name, value, 1)
    title = native.encode(title)[:end - begin - 1]
    # The kernel put the strings there, in memory that stays ours and writable.
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, title, len(title))
    library.prctl(_PR_SET_NAME, ctypes.c_char_p(title))


def _area():
    """Begin of the arguments and end of the environment, if the latter follows
    the former: fields 48 to 51 of the line, whose second may contain anything."""
    with open("/proc/self/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()[48 - 3:]
    if len(fields) < 4:
        raise OSError("/proc/self/stat lacks the argument area")
    arguments, arguments_end, environment, environment_end = map(int, fields[:4])
    if not 0 < arguments < arguments_end <= environment <= environment_end:
        raise OSError("/proc/self/stat has no argument area to use")
    return arguments, environment_end if environment == arguments_end else arguments_end
