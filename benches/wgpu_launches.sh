#!/usr/bin/env bash
# Kernel launches of a training step on wgpu, software Vulkan included: what a run of three epochs launches more than one of two,
# by the number of steps of an epoch, and which kernels they are. Kernels that are tried to choose the fastest are not counted:
# both runs try the same. Usage: benches/wgpu_launches.sh PROGRAM [EXPERIMENT [KEY=VALUE ...]]
#
# PROGRAM is a harness built with `--features wgpu`; EXPERIMENT is configs/digits.toml unless one is named.
set -euo pipefail
program=$(realpath "${1:?usage: benches/wgpu_launches.sh PROGRAM [EXPERIMENT [KEY=VALUE ...]]}")
experiment=$(realpath "${2:-$(dirname "$0")/../configs/digits.toml}")
shift $(($# < 2 ? $# : 2))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
options=(--set train.backend=wgpu --runs 1 --jobs 1 --quiet)
for pair in "$@"; do options+=(--set "$pair"); done
for epochs in 2 3; do
    printf '[profiling.logger]\nlevel = "minimal"\nfile = "%s/launches-%s"\n' "$work" "$epochs" > cubecl.toml
    "$program" run "$experiment" --out "sweep-$epochs" "${options[@]}" --set train.epochs=$epochs --set "record.checkpoints=[$epochs]" > /dev/null
done
python3 - "$work" <<'PYTHON'
import collections, json, pathlib, sys

work = pathlib.Path(sys.argv[1])
counts = []
for epochs in (2, 3):
    lines = (work / f"launches-{epochs}").read_text().splitlines()
    counts.append(collections.Counter(line.split("Executing ")[1].split("<")[0].strip() for line in lines if "Executing " in line))
steps = json.loads((work / "sweep-3/runs/0000/manifest.json").read_text())
print(f"{sum(counts[0].values())} launches in two epochs, {sum(counts[1].values())} in three")
more = counts[1] - counts[0]
for name, count in more.most_common(20):
    print(f"{count:8} {name}")
PYTHON
