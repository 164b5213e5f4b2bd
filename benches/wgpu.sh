#!/usr/bin/env bash
# The quick start on a GPU, or on software Vulkan where there is none, against the CPU: mean accuracies must agree within
# two standard deviations of the CPU's runs. Usage: benches/wgpu.sh [PROGRAM]
#
# PROGRAM is a harness built with `--features wgpu`; by default it is built here, which takes about 20 minutes.
# Software Vulkan: apt-get install mesa-vulkan-drivers.
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:-}
if [ -z "$program" ]; then
    cargo build --release --features wgpu
    program=target/release/harness
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for backend in flex wgpu; do
    start=$(date +%s)
    "$program" run configs/digits.toml --out "$out/$backend" --set train.backend=$backend --quiet
    echo "$backend: $(($(date +%s) - start)) s"
    "$program" analyze "$out/$backend" --json > "$out/$backend.json"
done
python3 - "$out/flex.json" "$out/wgpu.json" <<'PYTHON'
import json, sys

flex, wgpu = (json.load(open(path))["summary"]["accuracy"] for path in sys.argv[1:])
distance = abs(flex["mean"] - wgpu["mean"]) / flex["std"]
print(f"flex {flex['mean']:.4f} ± {flex['std']:.4f}, wgpu {wgpu['mean']:.4f} ± {wgpu['std']:.4f}: {distance:.2f} standard deviations apart")
sys.exit(distance > 2)
PYTHON
