#!/bin/bash
# Fifty small runs as a Slurm array on a cluster of one node, which this script starts: three tasks are killed, the node's
# daemon dies and is started again, and one run is held until its time limit. After one `harness resume` all fifty must be
# complete, with the bytes of a sweep that was trained without Slurm. Takes about five minutes.
# Usage: fifty.sh HARNESS
set -euo pipefail

for tool in slurmctld slurmd munged; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: $tool is not installed (Debian: slurm-wlm munge)"
        exit 0
    fi
done
harness=$(realpath "$1")
scripts=$(realpath "$(dirname "$0")")
experiment=$(realpath "$scripts/../../configs/digits.toml")
folder=$(mktemp -d)
trap '"$scripts/down.sh" "$folder/slurm"; rm -rf "$folder"' EXIT
cd "$folder"
"$scripts/up.sh" "$folder/slurm"
export SLURM_CONF=$folder/slurm/etc/slurm.conf

small=(--runs 50 --set train.epochs=4 --set 'record.checkpoints=[0, 2]' --set record.kernel.probes=20)
digests() {
    (cd "$1/runs" && find . -name '*.parquet' -path '*/checkpoints/*' -o -name '*.safetensors' | sort | xargs sha256sum)
}
complete() { grep -ls '"status": "complete"' cluster/runs/*/run.json 2>/dev/null | wc -l; }
# The process of a run that has saved a state, and is not among those given: RUN PID.
training() {
    for state in cluster/runs/*/state; do
        if [ ! -e "$state" ]; then continue; fi
        run=$(basename "$(dirname "$state")")
        pid=$(pgrep -f "train-run --sweep $folder/cluster --index $((10#$run))\$" || true)
        if [ -n "$pid" ] && [[ " $* " != *" $run "* ]]; then
            echo "$run $pid"
            return
        fi
    done
}
await() { # what to wait for, in seconds, as a command
    for _ in $(seq $(($1 * 10))); do
        if "${@:2}"; then return; fi
        sleep 0.1
    done
    echo "waited in vain for: ${*:2}"
    squeue
    exit 1
}

"$harness" run "$experiment" --out local --quiet "${small[@]}" >/dev/null
digests local >expected

"$harness" run "$experiment" --out cluster --executor slurm --time 4 --max-concurrent 2 "${small[@]}"

touched=()
held='' held_run=''
for what in kill kill kill restart hold; do
    if [ "$what" = restart ]; then
        kill -9 "$(cat slurm/run/slurmd.pid)"
        sleep 1
        slurmd -f "$SLURM_CONF"
        echo "the node's daemon was killed and started again"
        continue
    fi
    found=
    one_trains() { found=$(training "${touched[@]}"); [ -n "$found" ]; }
    await 120 one_trains
    read -r run pid <<<"$found"
    touched+=("$run")
    if [ "$what" = kill ]; then
        kill -9 "$pid" && echo "killed run $run"
    else
        kill -STOP "$pid"
        held=$pid held_run=$run
        echo "run $run stands still until its time limit"
    fi
done

# Slurm warns the task's shell, which asks the run to stop; it can once it goes on.
asked_to_stop() { grep -q '^SigPnd:.*[1-9a-f]\|^ShdPnd:.*[1-9a-f]' "/proc/$held/status" 2>/dev/null; }
await 300 asked_to_stop
kill -CONT "$held"
echo "the time limit came"
empty() { [ -z "$(squeue --noheader)" ]; }
await 300 empty
echo "$(complete) of 50 runs are complete"
if ! grep -q '"status": "complete"' "cluster/runs/$held_run/run.json"; then
    echo "run $held_run did not queue itself again at its time limit"
    exit 1
fi
if [ "$(complete)" -ge 50 ]; then
    echo "nothing was left to resume: the kills came too late"
    exit 1
fi

"$harness" resume cluster --executor slurm --time 4 --max-concurrent 2
await 120 empty
echo "$(complete) of 50 runs are complete after one resume"
digests cluster >found
cmp expected found
"$harness" verify cluster
echo "the same bytes as without Slurm"
