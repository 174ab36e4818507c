"""The servers that are compared: what each adds to the same httpd.conf, and what it runs beside.

In lines and commands {module}, {floor}, {express}, {venv}, {app}, {static} and {socket} stand
for the paths of one run.
"""

from dataclasses import dataclass

# One shape for all: 30 requests at once in two processes. The embedded mode runs in httpd's own.
PROCESSES, THREADS = 2, 15
REFERENCE = "daemon"

PYTHON = """\
WSGIDaemonProcess bench processes={processes} threads={threads} display-name=%{{GROUP}} \
python-home={venv} python-path={app}
WSGIProcessGroup bench
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / {app}/application.py
WSGIImportScript {app}/application.py process-group=bench application-group=%{{GLOBAL}}
"""

BACKEND = "{venv}/bin/"
UWSGI = (
    BACKEND + "uwsgi --master --need-app --die-on-term --processes {processes} "
    "--threads {threads} --listen 1024 --disable-logging --buffer-size 32768 "
    "--chdir {app} --wsgi-file application.py"
)


@dataclass(frozen=True)
class Peer:
    key: str
    title: str
    short: str
    modules: tuple = ()
    lines: str = ""
    command: str = ""

    def serves(self, workload):
        if self.key == "static":
            return workload.static
        if self.key == "floor":
            return workload.floor
        return True


ALL = (
    Peer("module", "this module", "this module",
         lines="LoadModule wsgi_module {module}\n" + PYTHON),
    Peer("daemon", "mod_wsgi 6.1.1, daemon mode", "mod_wsgi daemon",
         lines="LoadModule wsgi_module {express}\nWSGISocketPrefix {root}/wsgi\n" + PYTHON),
    Peer("embedded", "mod_wsgi 6.1.1, embedded mode", "mod_wsgi embedded",
         lines="LoadModule wsgi_module {express}\nWSGIPythonHome {venv}\nWSGIPythonPath {app}\n"
         "WSGIApplicationGroup %{{GLOBAL}}\nWSGIScriptAlias / {app}/application.py\n"
         "WSGIImportScript {app}/application.py process-group=%{{GLOBAL}} "
         "application-group=%{{GLOBAL}}\n"),
    Peer("granian", "mod_proxy_http to Granian", "Granian", ("proxy", "proxy_http"),
         'ProxyPass "/" "unix:{socket}|http://bench/" enablereuse=on\n',
         BACKEND + "granian --interface wsgi --uds {socket} --workers {processes} "
         "--blocking-threads {threads} --backlog 1024 --no-ws --log-level warning "
         "--working-dir {app} application:application"),
    Peer("gunicorn", "mod_proxy_http to gunicorn (gthread)", "gunicorn", ("proxy", "proxy_http"),
         'ProxyPass "/" "unix:{socket}|http://bench/" enablereuse=on\n',
         BACKEND + "gunicorn --worker-class gthread --workers {processes} --threads {threads} "
         "--keep-alive 75 --backlog 1024 --no-control-socket --log-level warning "
         "--bind unix:{socket} --chdir {app} application:application"),
    Peer("uwsgi", "mod_proxy_uwsgi to uWSGI", "uWSGI", ("proxy", "proxy_uwsgi"),
         'ProxyPass "/" "unix:{socket}|uwsgi://bench/"\n', UWSGI + " --socket {socket}"),
    Peer("fcgi", "mod_proxy_fcgi to uWSGI's FastCGI", "FastCGI", ("proxy", "proxy_fcgi"),
         'ProxyPass "/" "unix:{socket}|fcgi://bench/"\n', UWSGI + " --fastcgi-socket {socket}"),
    Peer("static", "a static file", "static file",
         lines="DocumentRoot {static}\n"),
    Peer("floor", "the floor: one round trip, no Python", "floor",
         lines="LoadModule floor_module {floor}\n"
         "<Location />\nSetHandler floor\n</Location>\n"),
)
BY_KEY = {peer.key: peer for peer in ALL}
