#!/usr/bin/env bash
# Put into .carry/ what `python -m sweep direct` needs beyond a Python with torch and torchvision, for a machine without a
# package index: .carry/site (goes into PYTHONPATH) and .carry/photographs (goes into inputs=).
#
#   scripts/carry.sh [PACKAGE …]     default: msgspec safetensors zstandard; each at the pin of constraints.txt
#
# CARRY_PYTHON is the other machine's Python (3.12), CARRY_MACHINE its processor (x86_64).
set -euo pipefail
cd "$(dirname "$0")/.."

python=${CARRY_PYTHON:-3.12}
machine=${CARRY_MACHINE:-x86_64}
packages=("$@")
[ $# -gt 0 ] || packages=(msgspec safetensors zstandard)

platforms=()
for glibc in 2_28 2_27 2_17; do platforms+=(--platform "manylinux_${glibc}_${machine}"); done
platforms+=(--platform "manylinux2014_${machine}")

rm -rf .carry
# --no-deps: torch would come along, which is there.
.venv/bin/python -m pip install --quiet --target .carry/site --no-deps --no-compile --only-binary=:all: \
  --implementation cp --python-version "$python" "${platforms[@]}" --constraint constraints.txt "${packages[@]}"
photographs=$(.venv/bin/python -c 'from stage_runtime.inputs.requests import *; print(*find_photographs(DEFAULT_SOURCE), sep="\n")')
mkdir .carry/photographs
while IFS= read -r path; do cp "$path" .carry/photographs/; done <<<"$photographs"
du -sh .carry
