"""One cell of the measurement: one workload against one server, checked, then loaded by wrk."""

import http.client
import json
import os
import subprocess
import time

import places
import processes


class WrongAnswer(Exception):
    """The server does not answer this workload rightly, so its speed means nothing."""


def check(server, workload):
    """Asks once and compares the whole answer."""
    headers = {f"X-Request-{n:02}": f"value of request header {n:02}"
               for n in range(1, workload.request_headers + 1)}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        body = b"x" * workload.upload if workload.upload else None
        connection.request(workload.method, workload.path, body, headers)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise WrongAnswer(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise WrongAnswer(f"status {response.status}")
    wanted = workload.answer
    if isinstance(wanted, int):
        wanted = b"x" * wanted
    if answer != wanted:
        raise WrongAnswer(f"a body of {len(answer)} bytes that begins {answer[:40]!r}")
    extra = sum(name.lower().startswith("x-response-") for name in response.headers)
    if extra != workload.response_headers:
        raise WrongAnswer(f"{extra} of {workload.response_headers} response headers")


def measure(server, workload, seconds):
    """Figures of one cell: latencies in µs, CPU in seconds per 1,000 requests."""
    try:
        check(server, workload)
        wrk(server, workload, max(1, seconds // 5))  # warms up
    except WrongAnswer as error:
        return {"failed": str(error)}
    time.sleep(0.2)  # what wrk left in flight ends
    httpd, servers = server.roles()
    before = processes.cpu_seconds(httpd), processes.cpu_seconds(servers)
    figures = wrk(server, workload, seconds)
    after = processes.cpu_seconds(httpd), processes.cpu_seconds(servers)
    requests = figures["requests"]
    if requests == 0:
        return {"failed": f"no request was answered within {seconds} s"}
    if server.roles() != (httpd, servers):
        figures["errors"]["processes"] = 1  # something died or was started: CPU is not whole
    return {
        "rps": requests / figures["microseconds"] * 1e6,
        "p50": figures["p50"], "p99": figures["p99"], "max": figures["max"],
        "cpu_httpd": (after[0] - before[0]) / requests * 1000,
        "cpu_servers": (after[1] - before[1]) / requests * 1000,
        "requests": requests,
        "errors": {kind: count for kind, count in figures["errors"].items() if count},
    }


def wrk(server, workload, seconds):
    """Loads the server from one thread; returns what client.lua prints."""
    environment = {
        **os.environ,
        "BENCH_METHOD": workload.method,
        "BENCH_UPLOAD": str(workload.upload),
        "BENCH_HEADERS": str(workload.request_headers),
        "BENCH_CLOSE": str(int(workload.close)),
    }
    command = [
        places.program("wrk"), "-t1", f"-c{workload.connections}", f"-d{seconds}s",
        "--timeout", "30s", "-s", places.BENCH / "client.lua",
        f"http://127.0.0.1:{server.port}{workload.path}",
    ]
    # wrk waits for no answer after its time; the limit is for a wrk that hangs.
    output = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=seconds + 60)
    for line in output.stdout.splitlines():
        if line.startswith("BENCH "):
            return json.loads(line.removeprefix("BENCH "))
    raise WrongAnswer(f"wrk: {(output.stderr or output.stdout).strip()[-200:]}")
