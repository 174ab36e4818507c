"""What was served and how long it took: ``request_metrics`` and ``process_metrics``.

Nothing is recorded before ``start_recording_metrics``. Times of a sample are counted
in 64 classes: sixteen doublings from 1 millisecond on, each in four equal steps, and
one class for what is longer. What is shorter is in the first.
"""

import math
import os
import threading
import time

import mod_wsgi

try:
    import resource
except ImportError:
    resource = None

_DOUBLINGS, _STEPS = 16, 4

# The parts of a request, in the order in which it passes them, and its costs.
_PHASES = ("server", "queue", "daemon", "application", "request", "input_read", "output_write",
           "gil_wait")

_lock = threading.Lock()
_recorder = None


def start():
    """Begins to record, once."""
    global _recorder
    with _lock:
        if _recorder is None:
            _recorder = _Recorder()
    mod_wsgi._worker.observe()


def record(event, application_start):
    """Takes in a request that has ended; ``event`` as for ``request_finished``."""
    if _recorder is not None:
        with _lock:
            _recorder.add(event, application_start)


def requests():
    """The sample since the last one was taken; None if nothing is recorded."""
    if _recorder is None:
        return None
    running = mod_wsgi._worker.running()
    with _lock:
        return _recorder.take(running)


def process():
    """The process since the recording began; None if nothing is recorded."""
    if _recorder is None:
        return None
    running = mod_wsgi._worker.running()
    with _lock:
        return _recorder.describe_process(running)


class _Times(object):
    """Seconds that something took, many times."""

    def __init__(self):
        self.total, self.count = 0.0, 0
        self.least = self.most = 0.0
        self.classes = [0] * (_DOUBLINGS * _STEPS + 1)

    def add(self, seconds):
        seconds = max(0.0, seconds)
        self.least = min(self.least, seconds) if self.count else seconds
        self.most = max(self.most, seconds)
        self.total += seconds
        self.count += 1
        self.classes[_class(seconds)] += 1

    def describe(self, name):
        mean = self.total / self.count if self.count else 0.0
        return {name + "_time": mean, name + "_time_min_us": int(self.least * 1e6),
                name + "_time_max_us": int(self.most * 1e6), name + "_time_buckets": self.classes}


def _class(seconds):
    """Number of the class of a time."""
    if seconds < 0.001:
        return 0
    fraction, exponent = math.frexp(seconds * 1000)  # a fraction from 0.5 on
    number = (exponent - 1) * _STEPS + int((fraction * 2 - 1) * _STEPS)
    return min(number, _DOUBLINGS * _STEPS)


class _Thread(object):
    """One worker thread in a sample."""

    def __init__(self):
        self.completed, self.busy, self.cpu, self.longest = 0, 0.0, 0.0, 0.0


class _Recorder(object):
    def __init__(self):
        self._threads = max(1, mod_wsgi.threads_per_process)
        self._served, self._busy = [0] * self._threads, 0.0
        self._begin(time.time())

    def add(self, event, application_start):
        finish = event["application_finish"]
        begin = event["daemon_start"]
        times = {
            "server": event["queue_start"] - event["request_start"],
            "queue": begin - event["queue_start"],
            "daemon": application_start - begin,
            "application": finish - application_start,
            "request": finish - event["request_start"],
            "input_read": event["input_time"], "output_write": event["output_time"],
            "gil_wait": event["gil_wait_time"]}
        for phase, seconds in times.items():
            self._phases[phase].add(seconds)
        self._sums["gil_wait_count"] += event["gil_wait_count"]
        for name in ("input", "output"):
            self._sums[name + "_bytes"] += event[name + "_length"]
        self._sums["input_reads"] += event["input_reads"]
        self._sums["output_writes"] += event["output_writes"]
        status = "status_%dxx" % (event["status"] // 100)
        if status in self._sums:
            self._sums[status] += 1
        number = min(event["thread_id"], self._threads) - 1
        thread = self._sample[number]
        thread.completed += 1
        thread.busy += max(0.0, finish - max(begin, self._start))
        thread.cpu += event["cpu_time"]
        thread.longest = max(thread.longest, finish - begin)
        self._served[number] += 1
        self._busy += max(0.0, finish - begin)

    def take(self, running):
        now = time.time()
        period = max(now - self._start, 1e-6)
        threads, elapsed = self._sample, [0.0] * self._threads
        for number, seconds in running.items():
            elapsed[number] = seconds
            threads[number].busy += min(seconds, period)
        user, system = _cpu()
        used = user - self._cpu[0], system - self._cpu[1]
        count = sum(thread.completed for thread in threads)
        completed = [thread.completed for thread in threads]
        sample = {
            "pid": os.getpid(), "start_time": self._start, "stop_time": now,
            "sample_period": period, "request_count": count,
            "request_throughput": count / period,
            "capacity_utilization":
                sum(thread.busy for thread in threads) / (period * self._threads),
            "request_threads_maximum": self._threads,
            "request_threads_started": self._threads,
            "request_threads_active": sum(
                1 for number, thread in enumerate(threads)
                if thread.completed or number in running),
            "request_threads_completed": completed,
            "request_threads_buckets": list(completed),
            "request_threads_busy_time": [thread.busy for thread in threads],
            "request_threads_cpu_time": [thread.cpu for thread in threads],
            "request_threads_current_elapsed": elapsed,
            "request_threads_max_duration": [thread.longest for thread in threads]}
        for name, seconds in ("user_", used[0]), ("system_", used[1]), ("", sum(used)):
            sample["cpu_%sutilization" % name] = sample["cpu_%stime" % name] = seconds / period
        for phase, times in self._phases.items():
            sample.update(times.describe(phase))
        sample.update(self._sums)
        sample.update(_memory())
        self._begin(now)
        return sample

    def describe_process(self, running):
        now = time.time()
        user, system = _cpu()
        served = [count + (number in running) for number, count in enumerate(self._served)]
        facts = {
            "pid": os.getpid(), "restart_time": mod_wsgi._started, "current_time": now,
            "running_time": int(now - mod_wsgi._started), "request_count": sum(self._served),
            "request_busy_time": self._busy + sum(running.values()),
            "request_threads": self._threads, "active_requests": len(running),
            "cpu_user_time": user, "cpu_system_time": system, "cpu_time": user + system,
            "threads": [{"thread_id": number + 1, "request_count": count}
                        for number, count in enumerate(served)]}
        facts.update(_memory())
        return facts

    def _begin(self, now):
        """Begins a sample."""
        self._start, self._cpu = now, _cpu()
        self._phases = dict((phase, _Times()) for phase in _PHASES)
        self._sample = [_Thread() for _ in range(self._threads)]
        self._sums = dict.fromkeys((
            "gil_wait_count", "input_bytes", "input_reads", "output_bytes", "output_writes",
            "status_1xx", "status_2xx", "status_3xx", "status_4xx", "status_5xx"), 0)


def _cpu():
    """CPU seconds of the process, in user and system mode."""
    return os.times()[:2] if resource is None else resource.getrusage(resource.RUSAGE_SELF)[:2]


def thread_times():
    """CPU seconds of the calling thread, in user and system mode; zeros where the
    system does not count them by thread."""
    try:
        # The number is Linux's: Python 2 has no name for it.
        return resource.getrusage(getattr(resource, "RUSAGE_THREAD", 1))[:2]
    except (AttributeError, ValueError, EnvironmentError):
        return 0.0, 0.0


def _memory():
    """Bytes of memory, now and at most."""
    now = most = 0
    if resource is not None:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    try:
        with open("/proc/self/statm") as facts:
            now = int(facts.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (EnvironmentError, ValueError, IndexError):
        pass  # a system without /proc
    return {"memory_rss": now, "memory_max_rss": max(now, most)}
