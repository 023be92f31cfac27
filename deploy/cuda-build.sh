#!/usr/bin/env bash
# Builds strop-worker for NVIDIA GPUs, on a machine that needs neither a GPU nor a CUDA toolkit: the
# parts of the toolkit that a build needs come from PyPI.
#
# Usage: deploy/cuda-build.sh [--toolkit DIR] [--target DIR] [--compute-cap N] [--jobs N]
#
#   --toolkit DIR      where the toolkit is kept, 1.2 GB; made once
#                      (default: $XDG_CACHE_HOME/strop/cuda, or ~/.cache/strop/cuda)
#   --target DIR       where cargo builds (default: a folder `target` beside the toolkit)
#   --compute-cap N    the least compute capability that must run it, as 75, 80, 89 (default: 80, which
#                      later GPUs run too; 90 and above run on that one kind only)
#   --jobs N           how many compilers at once (default: as many as cargo likes)
#
# Needs Rust, a C++ compiler, and Python 3 with venv. Takes some 15 minutes of one core the first time.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/strop
toolkit=$folder/cuda
target=
compute_cap=80
jobs=

usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$0"; }
fail() { echo "cuda-build: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) usage; exit 0 ;;
        --toolkit | --target | --compute-cap | --jobs)
            [ $# -ge 2 ] || fail "$1 needs a value; see --help"
            case $1 in
                --toolkit) toolkit=$2 ;;
                --target) target=$2 ;;
                --compute-cap) compute_cap=$2 ;;
                --jobs) jobs=$2 ;;
            esac
            shift 2
            ;;
        *) fail "unknown argument \`$1\`; see --help" ;;
    esac
done
case $compute_cap in
    [0-9][0-9] | [0-9][0-9][0-9]) ;;
    *) fail "--compute-cap is two or three digits, as 80 for 8.0, not \`$compute_cap\`" ;;
esac
case $jobs in
    *[!0-9]* | 0) fail "--jobs is a whole number from 1, not \`$jobs\`" ;;
esac
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || fail "NVIDIA's packages used here are for Linux on x86-64"
for program in cargo python3 cc c++ readelf; do
    command -v "$program" >/dev/null || fail "\`$program\` is missing: install it first"
done

# One release of CUDA throughout: 13.0, whose programs run with drivers from 580 on.
packages=(
    nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88
    nvidia-cuda-nvrtc==13.0.88 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85
    nvidia-curand==10.4.0.35 nvidia-cublas==13.1.2.11
)

mkdir -p "$toolkit"
toolkit=$(cd "$toolkit" && pwd)
target=${target:-$toolkit/target}
stamp=$toolkit/packages
venv=$toolkit/venv
if [ "$(cat "$stamp" 2>/dev/null)" != "${packages[*]}" ]; then
    echo "cuda-build: fetching CUDA's compiler and libraries to $venv"
    rm -f "$stamp"
    python3 -m venv --clear "$venv" || fail "python3 cannot make $venv: Debian has it in python3-venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "${packages[@]}" ||
        fail "pip cannot fetch NVIDIA's packages"
    echo "${packages[*]}" >"$stamp"
fi
cuda=$(echo "$venv"/lib/python3*/site-packages/nvidia/cu13)
[ -x "$cuda/bin/nvcc" ] || fail "there is no nvcc in $cuda: remove $toolkit and try again"

# Compilers look for lib64 and for names without a version.
ln -sfn lib "$cuda/lib64"
for library in cublas cublasLt cudart curand nvrtc; do
    versioned=$(cd "$cuda/lib" && ls -d "lib$library".so.[0-9]* | head -n 1) ||
        fail "lib$library is missing in $cuda/lib: remove $toolkit and try again"
    ln -sfn "$versioned" "$cuda/lib/lib$library.so"
done

# The driver's library is part of the driver. To link, a stand-in with its names is enough; each of
# its functions answers that it is one (CUDA_ERROR_STUB_LIBRARY), as NVIDIA's own stand-in does.
stubs=$cuda/lib/stubs
mkdir -p "$stubs"
cudarc=$(cd "$here" && cargo metadata --locked --all-features --format-version 1 | python3 -c '
import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(os.path.dirname(next(p["manifest_path"] for p in packages if p["name"] == "cudarc")))') ||
    fail "cargo does not find the crate cudarc"
grep -rhoE '\bfn cu[A-Z][A-Za-z0-9_]*' "$cudarc/src/driver/sys" | sort -u |
    sed 's/^fn \(.*\)$/int \1(void) { return 34; }/' >"$stubs/libcuda.c"
[ -s "$stubs/libcuda.c" ] || fail "found no names of the driver's functions in $cudarc"
cc -shared -fPIC -Wl,-soname,libcuda.so.1 -w -o "$stubs/libcuda.so" "$stubs/libcuda.c" ||
    fail "cannot make a stand-in for libcuda.so"

echo "cuda-build: building for compute capability $compute_cap in $target"
export CUDA_HOME=$cuda CUDA_COMPUTE_CAP=$compute_cap CARGO_TARGET_DIR=$target
export PATH=$cuda/bin:$PATH
export RUSTFLAGS="${RUSTFLAGS:+$RUSTFLAGS }-L native=$cuda/lib -L native=$stubs"
# The kernels' build does not heed cargo's --jobs by itself.
[ -z "$jobs" ] || export CUDAFORGE_THREADS=$jobs
(cd "$here" && cargo build --release --locked -p worker --features cuda ${jobs:+--jobs "$jobs"}) ||
    fail "the build failed; what it said stands above"

worker=$target/release/strop-worker
echo "cuda-build: $worker ($(du -h "$worker" | cut -f 1)) needs, apart from the C library:"
readelf -d "$worker" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/  \1/p' | grep -vE 'lib(c|m|gcc_s|stdc\+\+)\.so|ld-linux'
