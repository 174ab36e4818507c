"""Hello at any path, for bench/scale."""

from application import hello as application  # noqa: F401
