"""Runs the program that the query string carries, so that a test shows its application.

The program defines `run(environ, start_response)`. It finds `gate` (see gate.py) and `Body`, an
iterable that tells the gate when it is closed, among its names.
"""

import os
import sys
import textwrap
from urllib.parse import parse_qs

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import gate


class Body:
    """An iterable over items that counts the calls of its close()."""

    def __init__(self, items, on_close):
        self.items = iter(items)
        self.on_close = on_close

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.items)

    def close(self):
        self.on_close()


def application(environ, start_response):
    source = parse_qs(environ["QUERY_STRING"])["program"][0]
    names = {"gate": gate, "Body": Body, "__name__": "program"}
    exec(compile(textwrap.dedent(source), "<program>", "exec"), names)
    return names["run"](environ, start_response)
