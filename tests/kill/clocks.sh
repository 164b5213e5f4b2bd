#!/bin/bash
# Two machines whose clocks differ by two hours, on a file system without locks (tests/kill/clock.c makes them believe so): while
# one trains a run, the other must leave it alone; once its process is dead or stands still, the other takes the run over, not
# before 60 s after its last heartbeat and not after 80 s, and ends with the bytes of a run left in peace. Both ways round, at the same time: about a minute and a half.
# Usage: clocks.sh HARNESS
set -euo pipefail

harness=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
experiment=$(realpath "$here/../../configs/digits.toml")
command -v cc >/dev/null || { echo "skipped: there is no C compiler"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cc -O1 -shared -fPIC -o clock.so "$here/clock.c" -ldl
echo "11111111-1111-4111-8111-111111111111" >one
echo "22222222-2222-4222-8222-222222222222" >two

# on MACHINE SECONDS COMMAND...
on() {
    LD_PRELOAD=$folder/clock.so CLOCK_BOOT=$folder/$1 CLOCK_SHIFT=$2 CLOCK_NO_LOCKS=1 exec "${@:3}"
}
small=(--set 'model={kind="mlp", widths=[16]}' --set train.epochs=600 --set 'record.checkpoints=[0]' --set record.kernel.probes=20 --set data.train_limit=300)
"$harness" run "$experiment" --out peace --runs 1 --quiet "${small[@]}" >/dev/null
digests() {
    (cd "$1/runs" && find . -name '*.parquet' -path '*/checkpoints/*' -o -name '*.safetensors' | sort | xargs sha256sum)
}
digests peace >expected

trial() { # NAME SECONDS SIGNAL: the first machine's clock is ahead by SECONDS, and its process gets SIGNAL
    local name=$1 shift=$2 child begun code=0 seconds
    "$harness" run "$experiment" --out "$name" --runs 1 --quiet --executor none "${small[@]}" >/dev/null
    (on one "$shift" "$harness" train-run --sweep "$name" --index 0 >/dev/null 2>&1) &
    child=$!
    for _ in $(seq 3000); do [ -e "$name/runs/0000/state" ] && break; sleep 0.02; done
    # Held while it lives.
    (on two "-$shift" "$harness" train-run --sweep "$name" --index 0 >/dev/null 2>"$name.held") || code=$?
    [ "$code" = 75 ] || { echo "$name: a living run was not held (exit $code): $(cat "$name.held")"; return 1; }
    kill "-$3" "$child"
    begun=$(stat -c %Y "$name/runs/0000/lease.json")
    [ -e "$name/runs/0000/run.json" ] && { echo "$name: the run was finished before it could be killed"; return 1; }
    while :; do
        code=0
        (on two "-$shift" "$harness" train-run --sweep "$name" --index 0 >/dev/null 2>"$name.held") || code=$?
        seconds=$(($(date +%s) - begun))
        case $code in
            0) break ;;
            75) [ "$seconds" -le 80 ] || { echo "$name: not taken over after $seconds s"; return 1; } ;;
            *) echo "$name: exit $code: $(cat "$name.held")"; return 1 ;;
        esac
        sleep 1
    done
    [ "$seconds" -ge 60 ] || { echo "$name: taken over $seconds s after a heartbeat"; return 1; }
    if [ "$3" = STOP ]; then
        # Its machine wakes up again: the run is no longer its own.
        kill -CONT "$child"
        code=0
        wait "$child" || code=$?
        [ "$code" = 75 ] || { echo "$name: the process that had lost its run ended with $code"; return 1; }
    fi
    digests "$name" >"$name.found"
    cmp -s expected "$name.found" || { echo "$name: not the same files"; return 1; }
    "$harness" verify "$name" >"$name.verified" || { cat "$name.verified"; return 1; }
    echo "$name: held while it lived; finished by the other machine $seconds s after the last heartbeat, with the same bytes"
}
trial ahead 3600 KILL &
first=$!
failed=0
trial behind -3600 STOP || failed=1
wait "$first" || failed=1
exit "$failed"
