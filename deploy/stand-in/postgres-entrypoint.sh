#!/bin/sh
# Starts PostgreSQL in a container; the first time it makes a cluster in the volume, as the official
# image does: for POSTGRES_USER, POSTGRES_PASSWORD (or POSTGRES_PASSWORD_FILE) and POSTGRES_DB.
set -eu

data=${PGDATA:-/var/lib/postgresql/data}
binaries=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin | sort -V | tail -n 1)
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }

install -d -o postgres -g postgres -m 700 "$data"
install -d -o postgres -g postgres -m 2775 /var/run/postgresql

if [ ! -s "$data/PG_VERSION" ]; then
    if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
        POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
    fi
    : "${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE}"
    password=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
    chown postgres "$password"
    as_postgres "$binaries/initdb" --pgdata="$data" --username="$user" --pwfile="$password" \
        --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
    rm "$password"
    echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
    if [ "$database" != postgres ]; then
        printf 'create database "%s"\n' "$database" | as_postgres "$binaries/postgres" --single -D "$data" postgres
    fi
fi

exec setpriv --reuid=postgres --regid=postgres --init-groups \
    "$binaries/postgres" -D "$data" -c listen_addresses='*' "$@"
