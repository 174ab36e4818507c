"""What a request costs: its reads and writes, and the time that they take."""

import contextlib
import time

# Seconds; does not go back where there is such a clock.
_clock = getattr(time, "perf_counter", time.time)


class Measures(object):
    def __init__(self):
        self._reads = self._writes = 0
        self._read_time = self._write_time = 0.0

    @contextlib.contextmanager
    def reading(self):
        """Counts a read."""
        began = _clock()
        try:
            yield
        finally:
            self._reads += 1
            self._read_time += max(0.0, _clock() - began)

    @contextlib.contextmanager
    def writing(self):
        """Counts a write."""
        began = _clock()
        try:
            yield
        finally:
            self._writes += 1
            self._write_time += max(0.0, _clock() - began)

    def describe(self, input_length, output_length):
        """By the names of the event ``request_finished``. Nobody can tell in Python
        how long a thread waited for the GIL."""
        return {
            "input_reads": self._reads, "input_time": self._read_time,
            "input_length": input_length, "output_writes": self._writes,
            "output_time": self._write_time, "output_length": output_length,
            "gil_wait_time": 0.0, "gil_wait_count": 0}
