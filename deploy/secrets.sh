#!/bin/sh
# Makes the passwords that docker-compose.yml wants, in deploy/secrets/. Those that are there stay as they are.
#
# Usage: deploy/secrets.sh
set -eu

folder=$(cd "$(dirname "$0")" && pwd)/secrets
# Compose mounts each file as it is, so it must be readable by the user inside; the folder keeps others out.
mkdir -p "$folder"
chmod 700 "$folder"

# keep NAME CONTENT
keep() {
    [ -e "$folder/$1" ] && return
    printf '%s\n' "$2" >"$folder/$1"
    chmod 444 "$folder/$1"
    echo "made deploy/secrets/$1"
}
password() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }

for role in owner coordinator analyst; do
    keep "${role}_password" "$(password)"
done
url() { echo "postgres://$1:$(cat "$folder/$2_password")@postgres:5432/strop"; }
keep owner_url "$(url strop owner)"
keep coordinator_url "$(url strop_coordinator coordinator)"
