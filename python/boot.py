"""Starts a daemon: ``<python> <flags> <directory>/boot.py <descriptor>``.

The descriptor is the daemon's end of its link to the supervisor. Any Python
from 2.7 on can compile this file, and says so if it can't run the worker.
"""

import os
import sys


def refuse(code, message):
    os.write(2, ("MWR%d: %s\n" % (code, message)).encode("utf-8"))
    sys.exit(3)


def main():
    directory = os.path.dirname(os.path.abspath(__file__))
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        refuse(3041, "boot.py is started by the supervisor, with one descriptor as its argument")
    if sys.version_info < (3, 9) or sys.implementation.name != "cpython":
        refuse(3040, "%s is Python %s, but the worker needs CPython 3.9 or later; name another "
               "interpreter by python-home or WSGIPythonHome"
               % (sys.executable, sys.version.split()[0]))
    descriptor = int(sys.argv[1])
    # Applications may import mod_wsgi, but nothing else from here.
    sys.path[:] = [directory] + [path for path in sys.path if path != directory]
    try:
        import _mod_wsgi_worker
        from mod_wsgi import _daemon
    except ImportError as error:
        refuse(3042, "the worker in %s can't be imported by %s: %s; reinstall the module"
               % (directory, sys.executable, error))
    sys.path.remove(directory)
    sys.argv[:] = ["mod_wsgi"]
    # Processes that the application starts by multiprocessing have nothing to
    # find in this file.
    del globals()["__file__"]
    _daemon.run(_mod_wsgi_worker, descriptor)


if __name__ == "__main__":
    main()
