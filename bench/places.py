"""Where things are: the repository's folders and httpd's programs."""

import os
import shutil
import subprocess
from pathlib import Path

BENCH = Path(__file__).resolve().parent
REPOSITORY = BENCH.parent
BUILD = REPOSITORY / "build" / "bench"
VENV = BUILD / "venv"
FLOOR = BUILD / "floor" / ".libs" / "mod_floor.so"
MODULE = Path(os.environ.get("MODULE") or REPOSITORY / "build" / "module" / "mod_wsgi.so")
RESULTS = BUILD / "results.json"
PAGE = REPOSITORY / "docs" / "performance.md"
PLOT = REPOSITORY / "docs" / "performance.svg"


def program(*names):
    """The first of these programs that exists, also where only root's PATH leads."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/apache2/bin"
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def apxs():
    return os.environ.get("APXS") or program("apxs", "apxs2")


def httpd():
    return os.environ.get("HTTPD") or program("apache2", "httpd")


def httpd_modules():
    asked = subprocess.run([apxs(), "-q", "LIBEXECDIR"], check=True, capture_output=True, text=True)
    return Path(asked.stdout.strip())


def built_in():
    """Names such as "mod_so.c" of what httpd has linked in."""
    listed = subprocess.run([httpd(), "-l"], check=True, capture_output=True, text=True)
    return set(listed.stdout.split())
