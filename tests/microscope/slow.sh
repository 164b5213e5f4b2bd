#!/usr/bin/env bash
# How often `harness microscope` is wrong and what it finds, on embeddings of CIFAR-10 images by a network that PyTorch trains here (about
# 15 minutes on two cores). HARNESS, PYTHON (torch, numpy, scikit-learn), DATA (with cifar-10-batches-bin/), EMBEDDINGS (kept and reused).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
harness=${HARNESS:-target/release/harness}
python=${PYTHON:-python3}
embeddings=${EMBEDDINGS:-$(mktemp -d)}
if ! "$python" -c "import torch, numpy, sklearn, scipy" 2>/dev/null; then
  echo "skipped: $python has no torch, numpy, scikit-learn (set PYTHON)"
  exit 0
fi
if [ ! -f "$embeddings/plain.npy" ]; then
  [ -d "${DATA:-}" ] || { echo "skipped: set DATA to a folder with cifar-10-batches-bin/"; exit 0; }
  OMP_NUM_THREADS=1 "$python" "$here/embed.py" "$DATA" "$embeddings"
fi
"$python" "$here/check.py" "$harness" "$embeddings" "${HALVES:-500}"
