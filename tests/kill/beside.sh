#!/bin/bash
# `verify --repair` beside `report`, with a figure damaged each time and the two begun up to half a second apart: nothing may be
# lost, and at the end every file must be as it was written.
# Usage: beside.sh HARNESS [ROUNDS] [SEED]
set -euo pipefail

harness=$(realpath "$1")
rounds=${2:-120}
RANDOM=${3:-1}
experiment=$(realpath "$(dirname "$0")/../../configs/digits.toml")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$harness" run "$experiment" --out sweep --runs 3 --quiet --set train.epochs=2 --set 'record.checkpoints=[0]' \
    --set record.kernel.probes=20 --set data.train_limit=200 --set data.eval_limit=100 --set analysis.bootstraps=20 >/dev/null
names() { (cd sweep && find . -type f | sort); }
names >expected
mapfile -t derived < <(find sweep/report sweep/analysis -type f ! -name files.json | sort)
failed=0
for round in $(seq "$rounds"); do
    victim=${derived[$((RANDOM % ${#derived[@]}))]}
    printf 'x' >>"$victim"
    "$harness" report sweep >/dev/null 2>report.log &
    report=$!
    sleep "0.$(printf '%03d' $((RANDOM % 500)))"
    repaired=0
    "$harness" verify sweep --repair >repair.log 2>&1 || repaired=$?
    written=0
    wait "$report" || written=$?
    names >found
    verified=0
    "$harness" verify sweep >verify.log 2>&1 || verified=$?
    if [ "$repaired$written$verified" != 000 ] || ! cmp -s expected found; then
        echo "round $round ($victim): repair $repaired, report $written, verify $verified: $(cat verify.log) $(diff expected found || true)"
        failed=$((failed + 1))
        "$harness" report sweep >/dev/null 2>&1
    fi
done
echo "$rounds rounds, $failed of them lost something"
[ "$failed" = 0 ]
