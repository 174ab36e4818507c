#!/bin/bash
# Puts the module where httpd looks for modules, or takes it away.
# usage: install.sh APXS DESTDIR MODULE-FOLDER | install.sh --remove APXS DESTDIR
set -eu

here=$(cd "$(dirname "$0")" && pwd)
remove=
if [ "$1" = --remove ]; then
    remove=yes
    shift
fi
folder=$("$1" -q LIBEXECDIR)
target=$2$folder
# Debian's way to switch modules on and off; its folder is that of this machine, not of DESTDIR.
available=
[ ! -d /etc/apache2/mods-available ] || available=$2/etc/apache2/mods-available

if [ -n "$remove" ]; then
    rm -f "$target/mod_wsgi.so"
    rm -rf "$target/mod_wsgi"
    if [ -n "$available" ]; then
        rm -f "$available/wsgi.load"
        # A configuration that was edited is its owner's.
        ! cmp -s "$here/wsgi.conf" "$available/wsgi.conf" || rm -f "$available/wsgi.conf"
    fi
    echo "removed from $target"
    exit 0
fi

install -d "$target/mod_wsgi/mod_wsgi" "$target/mod_wsgi/mod_wsgi_pure"
install -m 644 "$3/mod_wsgi.so" "$target/mod_wsgi.so"
for file in "$3"/mod_wsgi/*; do
    [ ! -f "$file" ] || install -m 644 "$file" "$target/mod_wsgi/"
done
chmod 755 "$target/mod_wsgi/wsgi-supervisor"
for package in mod_wsgi mod_wsgi_pure; do
    install -m 644 "$3/mod_wsgi/$package"/*.py "$target/mod_wsgi/$package/"
done
install -m 644 "$3"/mod_wsgi/mod_wsgi/*.pyi "$3"/mod_wsgi/mod_wsgi/py.typed "$target/mod_wsgi/mod_wsgi/"
echo "installed in $target"

if [ -n "$available" ]; then
    install -d "$available"
    sed "s|/usr/lib/apache2/modules|$folder|" "$here/wsgi.load" >"$available/wsgi.load"
    chmod 644 "$available/wsgi.load"
    [ -e "$available/wsgi.conf" ] || install -m 644 "$here/wsgi.conf" "$available/wsgi.conf"
    echo "switch it on: a2enmod wsgi && apachectl graceful"
else
    echo "switch it on in httpd.conf: LoadModule wsgi_module $folder/mod_wsgi.so"
fi
