"""One peer running: a private httpd on a loopback port and what it passes requests to."""

import os
import pwd
import random
import shlex
import socket
import tempfile
import time
from pathlib import Path

import peers
import places
import processes

SETTINGS = """\
ServerRoot {root}
ServerName localhost
Listen 127.0.0.1:{port}
ListenBacklog 1024
DefaultRuntimeDir {root}
PidFile {root}/httpd.pid
ErrorLog {root}/error.log
LogLevel warn
TypesConfig /dev/null
AcceptFilter http none
Timeout 60
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
EnableSendfile On
DocumentRoot {static}
<Directory />
AllowOverride None
Require all denied
</Directory>
<Directory {app}>
Require all granted
</Directory>
<Directory {static}>
ForceType text/plain
Require all granted
</Directory>
"""
# As many workers everywhere, in a number of children that never changes.
THREADED = """\
StartServers 2
ServerLimit 2
ThreadLimit {0}
ThreadsPerChild {0}
MaxRequestWorkers {1}
MinSpareThreads 1
MaxSpareThreads {1}
"""
PREFORK = """\
StartServers 64
ServerLimit 64
MaxRequestWorkers 64
MinSpareServers 1
MaxSpareServers 64
"""
# Name → MPM and its settings. The event MPM closes connections that it has no worker for, and
# children do not get equal parts of them, so hundreds of clients meet the crowd shape.
SHAPES = {
    "event": ("event", THREADED.format(128, 256)),
    "crowd": ("event", THREADED.format(768, 1536)),
    "worker": ("worker", THREADED.format(128, 256)),
    "prefork": ("prefork", PREFORK),
}
MODULES = ("authz_core", "unixd", "alias", "mime", "env")


def unprivileged():
    """The account of servers when the measurement runs as root, else nothing."""
    if os.geteuid() != 0:
        return None
    for name in ("www-data", "apache", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return pwd.getpwuid(65534)


class NotStarted(Exception):
    """A server that does not come up; the message ends with its logs."""


class Server:
    """A peer that answers; a context manager. Raises NotStarted."""

    def __init__(self, peer, shape, site):
        self.peer = peer
        self.root = Path(tempfile.mkdtemp(prefix=f"{shape}-{peer.key}.", dir=site))
        self.root.chmod(0o755)
        self.port = free_port()
        self.httpd = self.backend = None
        user = unprivileged()
        values = {
            "root": self.root, "port": self.port, "socket": self.root / "socket",
            "app": site / "app", "static": site / "static", "venv": places.VENV,
            "module": places.MODULE, "floor": places.FLOOR, "express": express(),
            "processes": peers.PROCESSES, "threads": peers.THREADS,
        }
        self.socket = values["socket"]
        self.conf = self.root / "httpd.conf"
        self.conf.write_text(configuration(peer, shape, user, values))
        self.command = shlex.split(peer.command.format(**values))
        if user:
            os.chown(self.root, user.pw_uid, user.pw_gid)

    def __enter__(self):
        try:
            if self.command:
                self.backend = processes.Program(
                    self.command, self.root / "backend.log", unprivileged(), self.root)
                self.wait(self.backend, socket.AF_UNIX, str(self.socket))
            self.httpd = processes.Program(
                [places.httpd(), "-DFOREGROUND", "-f", self.conf], self.root / "console.log")
            self.wait(self.httpd, socket.AF_INET, ("127.0.0.1", self.port))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for program in (self.httpd, self.backend):
            if program:
                program.stop()

    def wait(self, program, family, address):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and program.running():
            with socket.socket(family) as client:
                try:
                    client.connect(address)
                    return
                except OSError:
                    time.sleep(0.05)
        raise NotStarted(f"{self.peer.title} did not start:\n{self.logged()}")

    def logged(self):
        """The end of every log."""
        return "".join(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}"
                       for log in sorted(self.root.glob("*.log")))

    def roles(self):
        """Processes of httpd proper, and those that run the application or stand in for it."""
        family = processes.tree(self.httpd.pid)
        own = processes.executable(self.httpd.pid)
        httpd = [pid for pid in family if processes.executable(pid) == own
                 and not processes.command_line(pid).startswith("(wsgi:")
                 and not Path(f"/proc/{pid}/comm").read_text().startswith("floor-echo")]
        servers = [pid for pid in family if pid not in httpd]
        return httpd, servers + (processes.tree(self.backend.pid) if self.backend else [])


def configuration(peer, shape, user, values):
    mpm, sizes = SHAPES[shape]
    folder, linked = places.httpd_modules(), places.built_in()
    lines = []
    for name in (f"mpm_{mpm}", *MODULES, *peer.modules):
        if f"mod_{name}.c" not in linked and f"{name.removeprefix('mpm_')}.c" not in linked:
            lines.append(f"LoadModule {name}_module {folder}/mod_{name}.so\n")
    if user:
        lines.append(f"User {user.pw_name}\nGroup #{user.pw_gid}\n")
    text = "".join(lines) + SETTINGS.format(**values) + sizes
    return text + peer.lines.format(**values)


def express():
    """pip's mod_wsgi.so."""
    found = sorted(places.VENV.glob("lib/python*/site-packages/mod_wsgi/server/mod_wsgi-py*.so"))
    if not found:
        raise RuntimeError(f"no mod_wsgi in {places.VENV}: remove the folder and try again")
    return found[0]


def free_port():
    """A port below those that the kernel gives to clients."""
    for _ in range(1000):
        port = random.randrange(20000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")
