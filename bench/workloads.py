"""The workloads: what is asked for, by how many connections, and what a right answer is."""

from dataclasses import dataclass

KIB, MIB = 1 << 10, 1 << 20
HELLO = b"Hello world!"


@dataclass(frozen=True)
class Workload:
    key: str
    title: str
    path: str
    connections: int = 32
    answer: object = HELLO  # the body, or its size where that says enough
    upload: int = 0  # bytes of request body
    request_headers: int = 0
    response_headers: int = 0
    close: bool = False  # a connection per request
    shapes: tuple = ("event",)  # of httpd: see server.SHAPES
    # Besides the servers of the application: who can answer this at all.
    static: bool = False
    floor: bool = False

    @property
    def method(self):
        return "POST" if self.upload else "GET"


def hello(connections, shapes=("event",)):
    return Workload(
        f"hello-{connections}", f"hello, {connections:,} connection{'s' * (connections > 1)}",
        "/hello", connections, shapes=shapes, static=True, floor=True,
    )


ALL = (
    hello(32, ("event", "worker", "prefork")),
    hello(1),
    hello(256, ("crowd",)),
    hello(1000, ("crowd",)),
    Workload("close", "hello, a connection per request", "/hello", close=True,
             static=True, floor=True),
    Workload("headers", "40 request and 20 response headers", "/headers",
             request_headers=40, response_headers=20, answer=b"40 headers\n"),
    Workload("body-10k", "10 KiB body", "/body-10k", answer=10 * KIB, static=True),
    Workload("stream-1m", "1 MiB streamed in 16 pieces", "/stream-1m", 8, MIB, static=True),
    Workload("body-16m", "16 MiB in one piece", "/body-16m", 4, 16 * MIB, static=True),
    Workload("file-16m", "wsgi.file_wrapper, 16 MiB", "/file-16m", 4, 16 * MIB, static=True),
    Workload("upload-1m", "upload of 1 MiB", "/upload", 8, b"%d bytes\n" % MIB, upload=MIB),
    Workload("upload-64m", "upload of 64 MiB", "/upload", 4, b"%d bytes\n" % (64 * MIB),
             upload=64 * MIB),
    Workload("sleep", "application sleeps 10 ms, 32 connections", "/sleep-10ms"),
    Workload("sleep-1000", "application sleeps 10 ms, 1,000 connections", "/sleep-10ms", 1000,
             shapes=("crowd",)),
    Workload("flask", "Flask view", "/flask", answer=b"<h1>Flask</h1>"
             b"<ul>%s</ul>" % b"".join(b"<li>%d</li>" % n for n in range(10))),
    Workload("django", "Django view", "/django", answer=b"<h1>Django</h1>"
             b"<ul>%s</ul>" % b"".join(b"<li>%d</li>" % n for n in range(10))),
)
BY_KEY = {workload.key: workload for workload in ALL}
