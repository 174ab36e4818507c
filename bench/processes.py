"""Processes: start, stop, and what the kernel says they have used (Linux)."""

import os
import signal
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")


def parents():
    """Process → parent, of everything that runs."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := stat(int(name))):
            found[int(name)] = int(fields[1])
    return found


def stat(pid):
    """The fields of /proc/PID/stat behind the name, or nothing if the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def tree(root):
    """A process and all its descendants."""
    parent_of = parents()
    children = {}
    for pid, parent in parent_of.items():
        children.setdefault(parent, []).append(pid)
    found, todo = [], [root] if root in parent_of else []
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu_seconds(pids):
    """User and system time of these processes and of the children that they have reaped."""
    return sum(sum(map(int, fields[11:15])) for pid in pids if (fields := stat(pid))) / TICK


def executable(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def memory(pid):
    """KiB of a process: its proportional share of everything, and what is its own and written."""
    sizes = {}
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if rest.endswith("kB\n"):
                    sizes[name] = int(rest.split()[0])
    except OSError:
        return None
    return {"pss": sizes.get("Pss", 0), "private": sizes.get("Private_Dirty", 0)}


class Program:
    """A server of ours with everything that it starts."""

    def __init__(self, command, log, user=None, folder=None):
        identity = {} if user is None else {
            "user": user.pw_uid, "group": user.pw_gid, "extra_groups": [],
        }
        with open(log, "ab") as output:
            # A group of its own: some servers end with a signal to their whole group.
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, cwd=folder, start_new_session=True, **identity,
            )
        self.pid = self.process.pid

    def running(self):
        return self.process.poll() is None

    def stop(self):
        """Asks it to end, then ends by pid what is still there of it."""
        family = {pid: start_time(pid) for pid in tree(self.pid)}
        if self.running():
            self.process.terminate()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            self.process.poll()
            if not any(same_process(pid, began) for pid, began in family.items()):
                break
            time.sleep(0.05)
        for pid, began in family.items():
            if same_process(pid, began):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.process.wait()


def start_time(pid):
    fields = stat(pid)
    return fields[19] if fields else None


def same_process(pid, began):
    fields = stat(pid)
    return bool(fields) and fields[19] == began and fields[0] != "Z"
