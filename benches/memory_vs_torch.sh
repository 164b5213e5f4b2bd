#!/usr/bin/env bash
# Peak memory of a training process against PyTorch's: one run of one epoch on CIFAR-10 for each network, batch 128, data and
# recording included. Of our side it is the largest of all processes of the sweep.
#
#   PYTHON=v/bin/python benches/memory_vs_torch.sh DATA [NETWORK ...]
set -euo pipefail
data=$(realpath "$1")
shift
python=${PYTHON:-python3}
cd "$(dirname "$0")/.."
. benches/experiment.sh
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE RAYON_NUM_THREADS=1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Megabytes that the largest process under a command ever held.
peak() {
    "$python" -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)' "$@"
}

printf "%-10s %10s %10s %8s\n" network "ours MB" "torch MB" share
for network in "${@:-mlp cnn resnet20}"; do
    for name in $network; do
        experiment "$name" "$data" 1 1 "$scratch/$name.toml"
        ours=$(peak "$harness" run "$scratch/$name.toml" --out "$scratch/$name" --jobs 1)
        torch=$(peak "$python" benches/peers/torch_sweep.py "$data" "$scratch/torch" --network "$name" --run 0 --epochs 1)
        awk -v n="$name" -v a="$ours" -v b="$torch" 'BEGIN { printf "%-10s %10d %10d %8.2f\n", n, a, b, a / b }'
    done
done
