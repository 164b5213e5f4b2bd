#!/usr/bin/env bash
# A sweep of 4 runs of the small convolutional network on CIFAR-10, two processes at a time, against the same with PyTorch: images
# per second of the whole sweep, from the command to its end, reading the data and recording soft decisions included (and on our
# side analysis and report). Alternately, then medians and ratio.
#
#   PYTHON=v/bin/python benches/sweep_vs_torch.sh DATA [PAIRS] [EPOCHS]
#
# DATA is the folder of CIFAR-10's binary version (`harness data fetch cifar10`), PYTHON an interpreter with PyTorch.
set -euo pipefail
data=$(realpath "$1")
pairs=${2:-5}
epochs=${3:-2}
python=${PYTHON:-python3}
cd "$(dirname "$0")/.."
. benches/experiment.sh
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
runs=4 jobs=2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
experiment cnn "$data" "$epochs" $runs "$scratch/cnn.toml"

timed() {
    local name=$1 start
    shift
    start=$(date +%s.%N)
    "$@" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2 && return 1; }
    awk -v name="$name" -v start="$start" -v end="$(date +%s.%N)" -v images=$((runs * epochs * 50000)) \
        'BEGIN { printf "%s %.1f s %.0f images/s\n", name, end - start, images / (end - start) }' | tee -a "$scratch/results" >&2
}

for pair in $(seq "$pairs"); do
    echo "pair $pair of $pairs" >&2
    timed harness "$harness" run "$scratch/cnn.toml" --out "$scratch/ours-$pair" --jobs $jobs
    timed torch "$python" benches/peers/torch_sweep.py "$data" "$scratch/torch-$pair" --runs $runs --jobs $jobs --epochs "$epochs"
    rm -rf "$scratch/ours-$pair" "$scratch/torch-$pair"
done
for name in harness torch; do
    awk -v name=$name '$1 == name { print $4 }' "$scratch/results" | sort -n |
        awk -v name=$name '{ v[NR] = $1 } END { print name, (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
done | awk '{ print $1, $2, "images/s"; rate[$1] = $2 } END { printf "ratio %.2f\n", rate["harness"] / rate["torch"] }'
