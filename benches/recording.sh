#!/usr/bin/env bash
# What recording costs: seconds for the soft decisions on the 10,000 evaluation images and for the trace NTK of 256 probes at a
# checkpoint of ResNet-20, and their share of an epoch on CIFAR-10's 50,000 training images, on THREADS threads.
#
#   benches/recording.sh DATA [THREADS]
set -euo pipefail
data=$(realpath "$1")
threads=${2:-1}
cd "$(dirname "$0")/.."
. benches/experiment.sh
export RAYON_NUM_THREADS=$threads
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
experiment resnet20 "$data" 1 1 "$scratch/resnet20.toml"
"$harness" run "$scratch/resnet20.toml" --out "$scratch/sweep" --jobs 1 \
    --set 'record.kernel={ kinds = ["trace"], probes = 256 }' >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2 && exit 1; }
# Two checkpoints: before training and after the epoch.
sed -n 's/.*"\(train\|evaluate\|kernel\|write\)": *\([0-9.e-]*\).*/\1 \2/p' "$scratch"/sweep/runs/0000/run.json |
    awk '{ s[$1] = $2 }
        END {
            printf "epoch %.1f s\n", s["train"]
            printf "soft decisions %.2f s, %.1f %% of an epoch\n", s["evaluate"] / 2, 50 * s["evaluate"] / s["train"]
            printf "trace NTK of 256 probes %.2f s, %.1f %% of an epoch\n", s["kernel"] / 2, 50 * s["kernel"] / s["train"]
            printf "writing (with the state) %.2f s, %.1f %% of an epoch\n", s["write"] / 2, 50 * s["write"] / s["train"]
        }'
