#!/usr/bin/env bash
# Runs the Python worker on a study of its own, from nothing to completed: a private database, a
# coordinator, the study of external.toml, the worker. Needs `make test` or `cargo build` before it.
set -euo pipefail
cd "$(dirname "$0")/.."

bin="${CARGO_TARGET_DIR:-target}/debug"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/strop"
venv="$cache/venv-$(sha256sum examples/requirements.txt | cut -c1-12)"
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import grpc_tools.protoc' 2>/dev/null; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r examples/requirements.txt
fi

folder="$(mktemp -d)"
trap 'kill "${coordinator:-}" 2>/dev/null || true; wait "${coordinator:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
env -u DATABASE_URL "$bin/strop-coordinator" serve --data-dir "$folder/data" --listen 127.0.0.1:0 \
    2>"$folder/coordinator.log" &
coordinator=$!
for _ in $(seq 300); do
    [ -s "$folder/data/coordinator.url" ] && break
    kill -0 "$coordinator" || { cat "$folder/coordinator.log"; exit 1; }
    sleep 0.1
done
url="$(cat "$folder/data/coordinator.url")"

"$bin/strop" --coordinator "$url" study create examples/external.toml
timeout 120 "$venv/bin/python" examples/external_worker.py "${url#http://}" ||
    { echo "the worker failed"; cat "$folder/coordinator.log"; exit 1; }
"$bin/strop" --coordinator "$url" study best external
state="$("$bin/strop" --coordinator "$url" --json study show external |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["state"])')"
[ "$state" = completed ] || { echo "the study is $state, not completed"; exit 1; }
echo "the external study is completed"
