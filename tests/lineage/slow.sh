#!/usr/bin/env bash
# How often `harness lineage` is wrong, on networks of known ancestry that PyTorch trains here (about 12 minutes on two cores):
# false alarms of independent pairs, power for every kind of descendant, directions, trees.
#
# HARNESS: the program; PYTHON: one with torch, numpy and safetensors; DATA: a folder with fashion-mnist/ and cifar-10-batches-bin/;
# NETS: where the networks are kept, and taken from if they are there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
harness=${HARNESS:-target/release/harness}
python=${PYTHON:-python3}
nets=${NETS:-$(mktemp -d)}
if ! "$python" -c "import torch, numpy, safetensors" 2>/dev/null; then
  echo "skipped: $python has no torch, numpy and safetensors (set PYTHON)"
  exit 0
fi
if [ ! -f "$nets/resnet/kinds.json" ]; then
  [ -d "${DATA:-}" ] || { echo "skipped: set DATA to a folder with fashion-mnist/ and cifar-10-batches-bin/"; exit 0; }
  OMP_NUM_THREADS=1 "$python" "$here/train.py" "$DATA" "$nets"
fi
"$python" "$here/check.py" "$harness" "$nets"
