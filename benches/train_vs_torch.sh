#!/usr/bin/env bash
# Training throughput against PyTorch: each of its modes (eager, fused optimiser, channels last, torch.compile and all their
# combinations) is measured once, then ours and its best alternately; medians, their ratio and which mode it was. `plain Flex` is the
# same network on Burn's CPU backend without our kernels. PYTHON is an interpreter with PyTorch (`python3 -m venv v && v/bin/pip
# install torch numpy`); torch.compile needs a C++ compiler.
#
#   PYTHON=v/bin/python benches/train_vs_torch.sh [PAIRS] [THREADS] [NETWORK ...]
set -euo pipefail
cd "$(dirname "$0")/.."
pairs=${1:-5}
threads=${2:-1}
shift $(($# < 2 ? $# : 2))
bench=${BENCH:-}
if [ -z "$bench" ]; then
    bench=$(cargo bench --no-run --bench train 2>&1 | sed -n 's/.*Executable.*(\(.*\)).*/\1/p')
fi
exec "${PYTHON:-python3}" benches/peers/train_pairs.py "$bench" "$pairs" "$threads" "$@"
