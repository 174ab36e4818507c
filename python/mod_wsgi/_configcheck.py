"""Looks around as a daemon process would: interpreter, folders, locale, scripts.

*Runs in:* an interpreter of its own, started by `httpd -t -D WSGI_CONFIGCHECK` under the user of a
process group. Runs no script; any Python from 2.7 on can run it.
"""
from __future__ import print_function

import locale
import os
import re
import sys

# Files that fit a target with captures, of which there may be very many.
MOST_SCRIPTS = 100


def say(text):
    print(text)


def complain(kind, text, *arguments):
    print("%s: %s" % (kind, text % arguments))


def check_interpreter(path, worker):
    version = "%d.%d.%d" % sys.version_info[:3]
    name = sys.implementation.name if sys.version_info[0] > 2 else "cpython"
    say("%s %s, %s" % (name, version, sys.executable or path))
    if sys.version_info < (2, 7) or (3,) <= sys.version_info < (3, 6):
        complain("error", "Python %s is too old: 2.7, 3.6 or later is needed", version)
        return
    home = os.path.dirname(os.path.dirname(path))
    if os.path.exists(os.path.join(home, "pyvenv.cfg")):
        if os.path.realpath(sys.prefix) == os.path.realpath(home):
            say("virtual environment %s" % home)
        else:
            complain("warning", "%s is a virtual environment, but its interpreter uses %s",
                     home, sys.prefix)
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if sys.version_info < (3, 9) or name != "cpython" or not gil:
        say("served by the worker in Python alone, which is slower")
    if not os.access(os.path.join(worker, "boot.py"), os.R_OK):
        complain("error", "the worker in %s can't be read by uid %d", worker, os.getuid())


def check_folder(path, what):
    try:
        os.listdir(path)
    except OSError as error:
        complain("error", "%s %s: %s (uid %d)", what, path, error.strerror, os.getuid())


def check_home(path):
    try:
        os.chdir(path)
    except OSError as error:
        complain("error", "home %s: %s (uid %d)", path, error.strerror, os.getuid())
    finally:
        os.chdir("/")


def check_locale(name):
    try:
        locale.setlocale(locale.LC_ALL, name)
    except locale.Error:
        complain("warning", "locale '%s' is not installed; see 'locale -a'", name)


def check_script(path):
    """A target may be a folder of scripts, or have captures of WSGIScriptAliasMatch in it."""
    if "$" in path:
        return check_pattern(path)
    try:
        if os.path.isdir(path):
            os.listdir(path)
            say("folder of scripts %s" % path)
            return
        with open(path, "rb") as script:
            source = script.read()
    except (IOError, OSError) as error:
        complain("error", "script %s: %s (uid %d)", path, error.strerror, os.getuid())
        return
    try:
        compile(source, path, "exec")
    except (SyntaxError, ValueError) as error:
        complain("error", "script %s does not compile: %s", path, error)
    else:
        say("script %s" % path)


def check_pattern(path):
    """What is certain of a target with captures: the folder that they are in, or the script in
    front of them; and the files that would fit."""
    before, _, rest = path.partition("$")
    known = os.path.dirname(before)
    if "/" in rest or not os.path.isdir(known):
        check_script(known)
        return
    check_folder(known, "folder of scripts")
    pattern = re.sub(r"\\\$[0-9]", ".*", re.escape(os.path.basename(path))) + "$"
    names = sorted(os.listdir(known)) if os.access(known, os.R_OK) else []
    fitting = [os.path.join(known, name) for name in names if re.match(pattern, name)]
    scripts = [name for name in fitting if os.path.isfile(name)]
    if not scripts:
        complain("warning", "nothing in %s fits %s", known, path)
    for name in scripts[:MOST_SCRIPTS]:
        check_script(name)


def main(arguments):
    told = [argument.partition("=")[::2] for argument in arguments]
    facts = dict(told)
    check_interpreter(facts["interpreter"], facts["worker"])
    for name, value in told:
        if name == "home":
            check_home(value)
        elif name == "path":
            check_folder(value, "directory of the module search path")
        elif name == "locale":
            check_locale(value)
        elif name == "script":
            check_script(value.rstrip("/"))


if __name__ == "__main__":
    main(sys.argv[1:])
