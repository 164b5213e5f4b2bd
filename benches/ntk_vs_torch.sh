#!/usr/bin/env bash
# The trace NTK of the reference networks, ours against PyTorch's by Jacobian contraction, alternately on one thread:
# medians, ratios, peak memories, agreement; then how ours grows with P and C.
#   benches/ntk_vs_torch.sh PROGRAM [PAIRS [NETWORK ...]]       PYTHON=… names a Python with torch and numpy,
#   JAX_PYTHON=… one with jax and neural-tangents, whose fastest implementation is then timed too
set -euo pipefail
program=${1:?usage: benches/ntk_vs_torch.sh PROGRAM [PAIRS [NETWORK ...]]}
python=${PYTHON:-python3}
if ! "$python" -c "import torch, numpy" 2> /dev/null; then
    echo "$python has no torch and numpy: name one that has with PYTHON=…" >&2
    exit 2
fi
exec "$python" "$(dirname "$0")/peers/ntk_pairs.py" "$program" "${@:2}"
