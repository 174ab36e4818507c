"""What one small request costs in system calls, and what the processes take in memory.

Each peer runs alone here, so that no page is shared with another peer. The calls are those of
hello over one connection that stays open, with a pause before each request: so httpd has
always gone back to waiting for the connection, which is otherwise a matter of luck.
"""

import contextlib
import http.client
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import load
import places
import processes
import workloads
from server import NotStarted, Server

REQUESTS = 1000
PAUSE = 0.003  # seconds


def examine(peer, shape, site):
    """Memory in KiB and calls per request of one peer, or why there are none."""
    try:
        with Server(peer, shape, site) as server:
            hello = workloads.BY_KEY["hello-32"]
            load.check(server, hello)
            load.wrk(server, hello, 2)
            httpd, servers = server.roles()
            children = [pid for pid in httpd if pid != server.httpd.pid]
            return {
                "memory": {
                    "httpd": mean([processes.memory(pid) for pid in children]),
                    "servers": total([processes.memory(pid) for pid in servers]),
                    "largest": largest([processes.memory(pid) for pid in servers]),
                },
                "calls": system_calls(server.port, {"httpd": children, "servers": servers}),
            }
    except (NotStarted, load.WrongAnswer, OSError, http.client.HTTPException) as error:
        return {"failed": str(error)}


def bare_interpreters(count=2):
    """Memory of one of several interpreters that have imported nothing."""
    command = [places.VENV / "bin" / "python", "-c", "print(flush=True); input()"]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
               for _ in range(count)]
    try:
        for process in started:
            process.stdout.readline()
        return mean([processes.memory(process.pid) for process in started])
    finally:
        for process in started:
            process.communicate(b"\n")


def mean(sizes):
    sizes = [size for size in sizes if size]
    return sizes and {key: statistics.mean(size[key] for size in sizes) for key in sizes[0]} or None


def total(sizes):
    sizes = [size for size in sizes if size]
    return sizes and {key: sum(size[key] for size in sizes) for key in sizes[0]} or None


def largest(sizes):
    return max((size for size in sizes if size), key=lambda size: size["pss"], default=None)


def system_calls(port, roles):
    """Calls per request by role and name; nothing where strace may not attach."""
    tracers, found = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for role, pids in roles.items():
                if pids:
                    attach = [word for pid in pids for word in ("-p", str(pid))]
                    tracers[role] = subprocess.Popen(
                        [places.program("strace"), "-f", "-c", "-U", "name,calls",
                         "-o", f"{folder}/{role}", *attach],
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(1.5)  # until it has attached to every thread
            if any(tracer.poll() is not None for tracer in tracers.values()):
                return None
            requests(port, REQUESTS)
        finally:
            for tracer in tracers.values():
                tracer.terminate()  # it detaches and writes its counts
                tracer.wait()
        for role in tracers:
            counts = re.findall(r"^(\w+)\s+(\d+)$", Path(folder, role).read_text(), re.M)
            found[role] = {name: int(count) / REQUESTS for name, count in counts
                           if name != "total" and int(count) >= REQUESTS / 20}
    return found


def requests(port, count):
    """Small GETs, one after the other, over one connection."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as client:
        for _ in range(count):
            time.sleep(PAUSE)
            client.request("GET", "/hello")
            if client.getresponse().read() != workloads.HELLO:
                raise load.WrongAnswer("not hello")
