#!/bin/sh
# Makes sure that PostgreSQL's server programs are there: installs Debian's package if it may, else
# says exactly what to type.
set -eu

found() {
    [ -n "${PG_BIN:-}" ] && [ -x "$PG_BIN/initdb" ] && return 0
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && return 0
    command -v initdb >/dev/null 2>&1
}

found && exit 0

# The server programs alone: no cluster of the system's own is wanted.
install="apt-get install --yes --no-install-recommends postgresql"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "error: PostgreSQL's server programs are missing; install them with this system's package" \
         "manager, or set PG_BIN to the folder that holds initdb and postgres" >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    sudo=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo"
else
    echo "error: PostgreSQL's server programs are missing; type: sudo apt-get update &&" \
         "sudo $install" >&2
    exit 1
fi

echo "installing PostgreSQL's server programs"
# A cluster that nobody asked for would start a server at every boot.
$sudo mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] ||
    echo "create_main_cluster = false" | $sudo tee /etc/postgresql-common/createcluster.conf >/dev/null
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo $install -qq >/dev/null
found || { echo "error: the package came without initdb; set PG_BIN" >&2; exit 1; }
