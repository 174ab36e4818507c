"""The application that `make run` serves: a page that shows what serves it."""

import html
import os
import platform
import sys
import threading

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>It works</title>
<style>
body {{ font: 16px/1.5 sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 1px solid #ddd; padding: .25em .5em; text-align: left; vertical-align: top; }}
td {{ font-family: monospace; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>It works</h1>
<p>Python {python} answers in process {pid}, thread {thread}.</p>
<table>
{facts}
</table>
<h2>The environ of this request</h2>
<table>
{environ}
</table>
</body>
</html>
"""


def rows(pairs):
    row = "<tr><th>%s</th><td>%s</td></tr>"
    return "\n".join(row % (html.escape(str(key)), html.escape(str(value))) for key, value in pairs)


def application(environ, start_response):
    facts = [
        ("Process group", environ.get("mod_wsgi.process_group") or "(none)"),
        ("Application group", environ.get("mod_wsgi.application_group") or "(the main one)"),
        ("Multithread", environ["wsgi.multithread"]),
        ("Multiprocess", environ["wsgi.multiprocess"]),
        ("User", os.getuid()),
        ("Interpreter", sys.executable),
        ("Server", environ.get("SERVER_SOFTWARE", "")),
    ]
    page = PAGE.format(
        python=platform.python_version(),
        pid=os.getpid(),
        thread=environ.get("mod_wsgi.thread_id", threading.current_thread().name),
        facts=rows(facts),
        environ=rows(sorted(environ.items())),
    ).encode("utf-8", "backslashreplace")
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(page)))]
    start_response("200 OK", headers)
    return [page]
