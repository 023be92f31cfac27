#!/bin/sh
# Makes base images from Debian's packages, for a machine that reaches a Debian mirror but no registry:
# strop-base:stand-in to run the binaries on, and strop-postgres:stand-in for the database.
#
# Usage, as root: deploy/stand-in-images.sh    (needs debootstrap: apt-get install debootstrap)
# SUITE names the release, MIRROR the mirror.
set -eu

suite=${SUITE:-bookworm}
mirror=${MIRROR:-http://deb.debian.org/debian}
here=$(cd "$(dirname "$0")" && pwd)

command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "installing Debian $suite"
root=$work/root
debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$work/log" || { tail "$work/log" >&2; exit 1; }
inside() { chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
pack() { inside apt-get clean; tar -C "$root" --exclude='./var/lib/apt/lists/*' --exclude='./proc/*' --exclude='./sys/*' -c .; }
pack | docker import --message "Debian $suite, minimal" - strop-base:stand-in

echo "installing PostgreSQL"
# The package would make a cluster and start it; the entrypoint makes one where the volume is.
mkdir -p "$root/etc/postgresql-common"
echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
inside apt-get update -q >>"$work/log"
inside apt-get install -q -y --no-install-recommends postgresql >>"$work/log" 2>&1 || { tail "$work/log" >&2; exit 1; }
install -m 755 "$here/stand-in/postgres-entrypoint.sh" "$root/usr/local/bin/postgres-entrypoint"
pack | docker import --message "PostgreSQL of Debian $suite" \
    --change 'ENTRYPOINT ["postgres-entrypoint"]' \
    --change 'VOLUME /var/lib/postgresql/data' \
    --change 'EXPOSE 5432' \
    - strop-postgres:stand-in
