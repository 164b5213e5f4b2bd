#!/bin/bash
# Kills a sweep of four small runs again and again: its processes, the engine, or both, at random moments; then lets
# `harness resume` finish it. Every soft.parquet, kernel and weights file must equal that of a sweep left in peace, and
# `harness verify` must find nothing.
# Usage: rounds.sh HARNESS [ROUNDS] [SEED]
set -euo pipefail

harness=$(realpath "$1")
rounds=${2:-200}
RANDOM=${3:-1}
experiment=$(realpath "$(dirname "$0")/../../configs/digits.toml")
folder=$(mktemp -d)
trap 'rm -rf "$folder" || true' EXIT
cd "$folder"

# Takes the place of the shell that calls it, so that the process which is killed is the engine.
sweep() {
    exec "$harness" run "$experiment" --out "$1" --runs 4 --jobs 2 --quiet \
        --set train.epochs=3 --set 'record.checkpoints=[0, 1]' --set record.kernel.probes=20
}

# The files that must not depend on how a run came about.
digests() {
    (cd "$1/runs" && find . -name '*.parquet' -path '*/checkpoints/*' -o -name '*.safetensors' | sort | xargs sha256sum)
}

begun=$(date +%s%N)
(sweep peace >/dev/null)
whole=$((($(date +%s%N) - begun) / 1000000))
digests peace >expected
count=$(wc -l <expected)
echo "in peace: $count files, $whole ms"

unfinished=0
for round in $(seq "$rounds"); do
    broken=broken-$round
    sweep "$broken" >/dev/null 2>log &
    engine=$!
    sleep "$(printf '0.%03d' $((RANDOM % 1000)) | awk -v whole="$whole" '{ print $1 * whole / 1000 }')"
    children=$(pgrep -P "$engine" || true)
    case $((round % 3)) in
        0) victims=$children ;;
        1) victims=$engine ;;
        2) victims="$children $engine" ;;
    esac
    # shellcheck disable=SC2086 # A list of numbers; one that has ended in the meantime is no victim.
    kill -9 $victims 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    if [ ! -e "$broken/sweep.json" ]; then
        # Killed before there was a sweep: there is nothing to resume.
        (sweep "$broken" >/dev/null 2>>log) || { cat log; exit 1; }
    else
        complete=$(find "$broken/runs" -name run.json | wc -l)
        if [ "$complete" -lt 4 ]; then unfinished=$((unfinished + 1)); fi
        "$harness" resume "$broken" --jobs 2 --quiet >/dev/null 2>>log || { cat log; exit 1; }
    fi
    digests "$broken" >found
    if ! cmp -s expected found; then
        echo "round $round: not the same files:"
        diff expected found
        exit 1
    fi
    "$harness" verify "$broken" >verified 2>&1 || { echo "round $round:"; cat verified; exit 1; }
    # A process that the killed engine had only just started may still be there, to find that there is nothing to do.
    rm -rf "$broken" || true
    if [ $((round % 20)) -eq 0 ]; then echo "$round rounds"; fi
done
echo "$rounds rounds, $unfinished of them with runs left unfinished: the same bytes every time"
