"""Installs what a measurement needs: a virtual environment of the peers, the floor, tools."""

import os
import shutil
import subprocess
import sys

import places

PINNED = [
    "mod_wsgi==6.1.1",
    "gunicorn",
    "granian",
    "uwsgi",
    "flask>=3,<4",
    "django>=4.2,<6",
]
# Program to look for → Debian's package.
TOOLS = {"wrk": "wrk", "strace": "strace", "cc": "gcc"}


def install():
    """Brings everything up to date; says what is missing and exits where it may not install."""
    tools()
    if not places.MODULE.exists():
        sys.exit(f"no module at {places.MODULE}: run make first")
    virtual_environment()
    floor()


def tools():
    missing = [package for name, package in TOOLS.items() if not places.program(name)]
    if not places.apxs():
        missing.append("apache2-dev")
    if not places.httpd():
        missing.append("apache2-bin")
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit("missing programs; install the packages " + " ".join(missing))
    print("installing", *missing, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        subprocess.run(["apt-get", "-qq", *command], check=True, env=environment)


def virtual_environment():
    """The peers and frameworks, in one environment that all servers share."""
    wanted, mark = "\n".join(PINNED), places.VENV / "installed"
    if mark.exists() and mark.read_text() == wanted:
        return
    python = os.environ.get("MOD_WSGI_PYTHON") or "/usr/bin/python3"
    print("installing", ", ".join(PINNED), "(some are compiled: minutes)", flush=True)
    if not (places.VENV / "bin" / "pip").exists():
        subprocess.run([python, "-m", "venv", places.VENV], check=True)
    pip = [places.VENV / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    environment = {**os.environ, "APXS": places.apxs(),
                   "PATH": f"{places.VENV / 'bin'}:{os.environ.get('PATH', '')}"}
    subprocess.run([*pip, "install", "wheel", "setuptools"], check=True)
    # No wheel from a cache: it may have been linked with another Python of the same version.
    subprocess.run([*pip, "install", "--no-cache-dir", *PINNED], check=True, env=environment)
    mark.write_text(wanted)


def floor():
    source = places.BENCH / "floor" / "mod_floor.c"
    folder = places.BUILD / "floor"
    if places.FLOOR.exists() and places.FLOOR.stat().st_mtime > source.stat().st_mtime:
        return
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, folder / source.name)
    subprocess.run(
        [places.apxs(), "-c", "-Wc,-O2", source.name],
        cwd=folder, check=True, stdout=subprocess.DEVNULL,
    )


def versions():
    """What was measured, name → version."""
    listed = subprocess.run(
        [places.VENV / "bin" / "python", "-m", "pip", "--disable-pip-version-check",
         "list", "--format=freeze"],
        check=True, capture_output=True, text=True,
    ).stdout.lower().replace("_", "-")
    found = dict(line.split("==", 1) for line in listed.splitlines() if "==" in line)
    names = ("mod-wsgi", "gunicorn", "granian", "uwsgi", "flask", "django")
    version = {name: found.get(name, "?") for name in names}
    banner = subprocess.run([places.httpd(), "-v"], capture_output=True, text=True).stdout
    version["httpd"] = banner.split("Apache/")[-1].split()[0]
    python = subprocess.run(
        [places.VENV / "bin" / "python", "-V"], capture_output=True, text=True
    ).stdout
    version["python"] = python.split()[-1]
    return version
