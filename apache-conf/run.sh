#!/bin/bash
# Serves an application with a private httpd on a loopback port until Ctrl-C.
# usage: run.sh MODULE-FOLDER [APPLICATION [INTERPRETER-OR-VENV]]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
module=$(cd "$1" && pwd)
app=${2:-$here/example/app.py}
python=${3:-}

fail() {
    echo "make run: $*" >&2
    exit 1
}

[ -f "$app" ] || fail "no application at $app"
app=$(realpath "$app")
httpd=${HTTPD:-$(command -v /usr/sbin/apache2 /usr/sbin/httpd /usr/local/apache2/bin/httpd | head -n 1)}
[ -n "$httpd" ] || fail "no httpd found: install it, or set HTTPD"
modules=$("${APXS:-apxs}" -q LIBEXECDIR)

# As root, httpd's children and the application run as somebody else, who must get at all files.
user=
if [ "$(id -u)" = 0 ]; then
    for name in www-data apache nobody; do
        if id "$name" >/dev/null 2>&1; then
            user=$name
            break
        fi
    done
fi
readable() { # file
    [ -z "$user" ] || setpriv --reuid "$user" --clear-groups --regid "$(id -g "$user")" test -r "$1"
}

root=$(dirname "$module")/run
rm -rf "$root"
mkdir -p "$root/htdocs"
scratch=
if ! readable "$module/mod_wsgi.so" || ! readable "$root"; then
    # The module lies below a private folder: serve from a copy.
    scratch=$(mktemp -d /tmp/mod_wsgi-run.XXXXXX)
    chmod 755 "$scratch"
    mkdir "$scratch/htdocs"
    cp -R "$module" "$scratch/module"
    module=$scratch/module
    root=$scratch
    if [ "$app" = "$here/example/app.py" ]; then
        cp "$app" "$scratch/app.py"
        app=$scratch/app.py
    fi
fi
if ! readable "$app"; then
    folder=$(dirname "$app")
    while [ "$folder" != / ] && ! setpriv --reuid "$user" --clear-groups \
        --regid "$(id -g "$user")" test -x "$folder"; do
        closed=$folder
        folder=$(dirname "$folder")
    done
    fail "$user may not read $app (it runs the application): ${closed:-the file} is closed to it"
fi

options=
if [ -n "$python" ]; then
    [ -e "$python" ] || fail "no interpreter or virtual environment at $python"
    # Not resolved: a virtual environment's interpreter is known by its path.
    case $python in /*) ;; *) python=$PWD/$python ;; esac
    if [ -d "$python" ]; then options="python-home=$python"; else options="python=$python"; fi
fi
options="$options python-path=$(dirname "$app")"

port=${PORT:-8000}
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    port=$((port + 1))
    [ "$port" -lt 8100 ] || fail "no free port from 8000 to 8099"
done

built_in=$("$httpd" -l)
lines=
for name in mpm_event authz_core unixd log_config mime; do
    file=mod_$name.c
    case $name in mpm_*) file=${name#mpm_}.c ;; esac
    case $built_in in
        *"$file"*) ;;
        *) lines+="LoadModule ${name}_module $modules/mod_$name.so"$'\n' ;;
    esac
done
identity=
[ -z "$user" ] || identity="User $user"$'\n'"Group #$(id -g "$user")"

conf=$(<"$here/run.conf.in")
conf=${conf//@MODULES@/"$lines"}
conf=${conf//@MODULE@/"$module/mod_wsgi.so"}
conf=${conf//@ROOT@/"$root"}
conf=${conf//@PORT@/"$port"}
conf=${conf//@USER@/"$identity"}
conf=${conf//@OPTIONS@/"$options"}
conf=${conf//@APP@/"$app"}
conf=${conf//@FOLDER@/"$(dirname "$app")"}
printf '%s\n' "$conf" >"$root/httpd.conf"

# A session of its own: Ctrl-C reaches this script alone, which ends httpd in order.
setsid "$httpd" -DFOREGROUND -d "$root" -f "$root/httpd.conf" &
pid=$!
trap 'kill -TERM "$pid" 2>/dev/null || true' INT TERM HUP
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    kill -0 "$pid" 2>/dev/null || {
        [ ! -s "$root/error.log" ] || cat "$root/error.log" >&2
        [ -z "$scratch" ] || rm -rf "$scratch"
        fail "httpd did not start; its configuration is $root/httpd.conf"
    }
    sleep 0.05
done
echo "serving $app"
echo "    at http://127.0.0.1:$port/"
echo "   log $root/error.log"
echo "Ctrl-C stops it"
status=0
while kill -0 "$pid" 2>/dev/null; do
    wait "$pid" && status=0 || status=$?
done
[ -z "$scratch" ] || rm -rf "$scratch"
echo "stopped"
# Being stopped by Ctrl-C is how this is meant to end.
[ "$status" -lt 128 ] || status=0
exit "$status"
