#!/bin/sh
# Makes the images strop-coordinator:dev and strop-worker:dev from binaries that are already built.
#
# Usage: deploy/prebuilt-images.sh [FOLDER]    (target/release if left out)
# BASE names the image that they run on; the binaries need its C library, or a later one.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
binaries=${1:-$here/../target/release}
base=${BASE:-debian:bookworm-slim}

# The folder of a build holds gigabytes, all of which would be sent to the engine.
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
for program in strop-coordinator strop strop-worker; do
    install -m 755 "$binaries/$program" "$context/$program"
    strip --strip-debug "$context/$program"
done

for image in coordinator worker; do
    docker build --quiet --build-arg BASE="$base" --target "$image" --tag "strop-$image:dev" \
        --file "$here/prebuilt.Dockerfile" "$context"
done
