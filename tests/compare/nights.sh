#!/usr/bin/env bash
# A fortnight of nights as docs/nightly.md shows it: healthy ones, half of the data, a crash, an odd sweep, a wanted change.
# Prints the exit code and the first sentences of each night; ends with 1 where a code is not the expected one.
# Usage: nights.sh HARNESS [FOLDER]
set -uo pipefail
harness=$(realpath "$1")
folder=${2:-$(mktemp -d)}
experiment=$(realpath "$(dirname "$0")/../../configs/digits.toml")
mkdir -p "$folder"
cd "$folder" || exit 1
failed=0

# night NUMBER EXPECTED TITLE [MORE…]
night() {
    local number=$1 expected=$2 title=$3
    shift 3
    local code=0
    "$harness" run "$experiment" --quiet --out "try/$number" --set "sweep.seed=$number" --set train.epochs=5 --against try "$@" \
        >out.txt 2>err.txt || code=$?
    printf '%2d  %-34s exit %d  %s\n' "$number" "$title" "$code" \
        "$(tail -1 out.txt | sed 's/^\*\*[^*]*\*\* //; s/ Program, data.*//; s/ No run .*//; s/ None of .*//' | cut -c1-400)"
    if [ "$code" != "$expected" ]; then
        failed=1
        echo "    expected $expected" && cat err.txt
    fi
}

night 1 0 "healthy"
night 2 8 "healthy"
night 3 8 "healthy"
night 4 0 "healthy"
night 5 0 "healthy"
night 6 5 "half of the data" --set data.train_limit=648
night 7 5 "half of the data" --set data.train_limit=648
timeout -s KILL 3 "$harness" run "$experiment" --quiet --out try/8 --set sweep.seed=8 --set train.epochs=5 >/dev/null 2>&1
echo " 8  killed after three seconds"
night 9 7 "judged on 200 examples only" --set data.eval_limit=200
night 10 0 "healthy again"
night 11 5 "narrower, a wanted change" --set 'model.channels=[4, 8]'
"$harness" accept try/11 --why "small enough for the device"
night 12 0 "narrower" --set 'model.channels=[4, 8]'
"$harness" history try | sed -n '/^20/p; /^note/p'
exit $failed
