#!/bin/bash
# Stops the cluster that up.sh started. Usage: down.sh FOLDER
set -uo pipefail

root=$(cd "$1" && pwd) || exit 0
export SLURM_CONF=$root/etc/slurm.conf
scancel --user="$(id -un)" 2>/dev/null
for _ in $(seq 40); do
    if [ -z "$(squeue --noheader --states=R,CG 2>/dev/null)" ]; then break; fi
    sleep 0.25
done
pids=()
for file in "$root/run/slurmd.pid" "$root/run/slurmctld.pid" "$root/munge/pid"; do
    if [ -s "$file" ]; then pids+=("$(cat "$file")"); fi
done
kill "${pids[@]}" 2>/dev/null
# The folder may be removed once nobody writes to it any more.
for _ in $(seq 40); do
    if ! kill -0 "${pids[@]}" 2>/dev/null; then break; fi
    sleep 0.25
done
exit 0
