#!/bin/bash
# Puts the module where httpd looks for modules, its commands and manual pages where the shell and
# man look, or takes all of it away.
# usage: install.sh APXS DESTDIR MODULE-FOLDER | install.sh --remove APXS DESTDIR
set -eu

here=$(cd "$(dirname "$0")" && pwd)
remove=
if [ "$1" = --remove ]; then
    remove=yes
    shift
fi
place() { # what apxs calls it, where it is if apxs does not know
    local known
    known=$("$apxs" -q "$1" 2>/dev/null || true)
    echo "$destination${known:-$2}"
}
apxs=$1
destination=$2
folder=$("$apxs" -q LIBEXECDIR)
target=$destination$folder
commands=$(place BINDIR /usr/bin)
manual=$(place MANDIR /usr/share/man)
completions=$destination/usr/share/bash-completion/completions
# Debian's way to switch modules on and off; its folder is that of this machine, not of DESTDIR.
debian=
[ ! -d /etc/apache2/mods-available ] || debian=$destination/etc/apache2

if [ -n "$remove" ]; then
    rm -f "$target/mod_wsgi.so"
    for command in wsgictl wsgi-httpd wsgi-configcheck; do
        rm -f "$commands/$command" "$completions/$command" "$manual"/man[1-8]/"$command".[1-8]
    done
    rm -rf "$target/mod_wsgi"
    if [ -n "$debian" ]; then
        # What is switched on and not there would keep httpd from starting.
        rm -f "$debian/mods-enabled/wsgi.load" "$debian/mods-enabled/wsgi.conf" \
            "$debian/mods-available/wsgi.load"
        # A configuration that was edited is its owner's.
        ! cmp -s "$here/wsgi.conf" "$debian/mods-available/wsgi.conf" ||
            rm -f "$debian/mods-available/wsgi.conf"
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

for file in "$3"/bin/* "$here/wsgi-configcheck"; do
    [ ! -f "$file" ] || install -D -m 755 "$file" "$commands/$(basename "$file")"
done
for file in "$here"/../docs/man/*.[1-8]; do
    [ ! -f "$file" ] || install -D -m 644 "$file" "$manual/man${file##*.}/$(basename "$file")"
done
for file in "$here"/completion/*; do
    [ ! -f "$file" ] || install -D -m 644 "$file" "$completions/$(basename "$file" .bash)"
done

if [ -n "$debian" ]; then
    install -d "$debian/mods-available"
    sed "s|/usr/lib/apache2/modules|$folder|" "$here/wsgi.load" >"$debian/mods-available/wsgi.load"
    chmod 644 "$debian/mods-available/wsgi.load"
    [ -e "$debian/mods-available/wsgi.conf" ] ||
        install -m 644 "$here/wsgi.conf" "$debian/mods-available/wsgi.conf"
    echo "switch it on: a2enmod wsgi && apachectl graceful"
else
    echo "switch it on in httpd.conf: LoadModule wsgi_module $folder/mod_wsgi.so"
fi
