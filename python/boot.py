"""Starts a daemon: ``<python> <flags> <directory>/boot.py <descriptor> [<descriptor>]``.

The first descriptor is the daemon's end of its link to the supervisor, the second, if it is
there, where httpd is asked for its scoreboard. Any Python
from 2.7 on can compile this file, and says so if it can't run the worker.
"""

import os
import sys


def refuse(code, message):
    os.write(2, ("MWR%d: %s\n" % (code, message)).encode("utf-8"))
    sys.exit(3)


def worker():
    """The function that serves: the native worker's where there is one, else that
    of the worker in Python alone."""
    version = sys.version_info[:2]
    if version < (2, 7) or (3, 0) <= version < (3, 6):
        refuse(3040, "%s is Python %s, but applications can be served by 2.7 and from 3.6 on; name "
               "another interpreter by python-home or WSGIPythonHome"
               % (sys.executable, sys.version.split()[0]))
    is_cpython = getattr(getattr(sys, "implementation", None), "name", "") == "cpython"
    wanted = os.environ.get("MOD_WSGI_WORKER", "")
    if version >= (3, 9) and is_cpython and wanted != "pure" and has_native():
        import _mod_wsgi_worker
        from mod_wsgi import _daemon
        return lambda descriptor: _daemon.run(_mod_wsgi_worker, descriptor)
    try:
        from mod_wsgi_pure import daemon
    except ImportError as error:
        refuse(3500, "%s lacks a module of its standard library that the worker needs: %s; install "
               "it, or another Python" % (sys.executable, error))
    return daemon.run


def has_native():
    """A build without a GIL needs a native worker of its own, from ``make worker``."""
    if "t" not in getattr(sys, "abiflags", ""):
        return True
    from importlib.machinery import EXTENSION_SUFFIXES
    own = "_mod_wsgi_worker" + EXTENSION_SUFFIXES[0]
    return os.path.exists(os.path.join(sys.path[0], own))


def main():
    directory = os.path.dirname(os.path.abspath(__file__))
    if len(sys.argv) not in (2, 3) or not all(word.isdigit() for word in sys.argv[1:]):
        refuse(3041, "boot.py is started by the supervisor, with descriptors as its arguments")
    descriptors = [int(word) for word in sys.argv[1:]]
    # Applications may import mod_wsgi, but nothing else from here.
    sys.path[:] = [directory] + [path for path in sys.path if path != directory]
    try:
        serve = worker()
    except ImportError as error:
        refuse(3042, "the worker in %s can't be imported by %s: %s; reinstall the module"
               % (directory, sys.executable, error))
    if len(descriptors) > 1:
        from mod_wsgi import _scoreboard
        _scoreboard.open_window(descriptors[1])
    sys.path.remove(directory)
    sys.argv[:] = ["mod_wsgi"]
    # Processes that the application starts by multiprocessing have nothing to
    # find in this file.
    del globals()["__file__"]
    serve(descriptors[0])


if __name__ == "__main__":
    main()
