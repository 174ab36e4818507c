"""Does to its process what Karrigell does: changes directory, rebinds sys.stdout, prints.

Safe only where a process handles one request at a time; so it refuses to run elsewhere, as the
adapter that mod_wsgi's documentation shows does.
"""

import io
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import gate

WARNING = b"CONFIGURATION ERROR\n"


def application(environ, start_response):
    if environ["wsgi.multithread"] or not environ["mod_wsgi.process_group"]:
        start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
        return [WARNING]
    name = environ["PATH_INFO"].strip("/")
    folder = os.path.join(os.environ["SCRATCH"], name)
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    before, sys.stdout = sys.stdout, io.StringIO()
    print(name, "begins")
    gate.wait(environ, name)
    print(name, "is in", os.path.basename(os.getcwd()))
    page, sys.stdout = sys.stdout.getvalue(), before
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [page.encode("latin-1")]
