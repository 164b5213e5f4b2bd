#!/usr/bin/env bash
# Training throughput against PyTorch: the same networks, batch and threads, alternately (ours, PyTorch, ours, …), and then the
# medians and their ratio. PYTHON is an interpreter with PyTorch (`python3 -m venv v && v/bin/pip install torch numpy`).
#
#   PYTHON=v/bin/python benches/train_vs_torch.sh [PAIRS] [THREADS] [NETWORK ...]
set -euo pipefail
cd "$(dirname "$0")/.."

pairs=${1:-5}
threads=${2:-1}
shift $(($# < 2 ? $# : 2))
python=${PYTHON:-python3}
export OMP_NUM_THREADS=$threads OMP_WAIT_POLICY=PASSIVE RAYON_NUM_THREADS=$threads

bench=${BENCH:-}
if [ -z "$bench" ]; then
    bench=$(cargo bench --no-run --bench train 2>&1 | sed -n 's/.*Executable.*(\(.*\)).*/\1/p')
fi
results=$(mktemp)
trap 'rm -f "$results"' EXIT
for pair in $(seq "$pairs"); do
    echo "pair $pair of $pairs" >&2
    "$bench" --threads "$threads" "$@" | tee -a "$results" >&2
    "$python" benches/peers/torch_train.py --threads "$threads" "$@" | tee -a "$results" >&2
done
awk '
    { name = $1 " " $2; network[$2] = 1; value[name, ++count[name]] = $4 }
    function median(name,    n, i, j, swap, sorted) {
        n = count[name]
        for (i = 1; i <= n; i++) sorted[i] = value[name, i]
        for (i = 2; i <= n; i++)
            for (j = i; j > 1 && sorted[j - 1] > sorted[j]; j--) {
                swap = sorted[j]; sorted[j] = sorted[j - 1]; sorted[j - 1] = swap
            }
        return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
    }
    END {
        printf "%-10s %12s %12s %8s\n", "network", "ours im/s", "torch im/s", "ratio"
        for (name in network) {
            ours = median("harness " name); torch = median("torch " name)
            printf "%-10s %12.1f %12.1f %8.2f\n", name, ours, torch, ours / torch
        }
    }' "$results"
