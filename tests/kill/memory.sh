#!/bin/bash
# Lets the first, second, third … and ever rarer n-th large allocation of every process of a sweep fail (tests/kill/memory.c), as where a
# machine has no memory left. Such a process ends at once, as if it were killed: the sweep ends with 0, 1, 4 or 75, or the engine
# itself is aborted; `verify` finds every file whole; and `resume` finishes with the files of a sweep left in peace.
# Usage: memory.sh HARNESS
set -euo pipefail

harness=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
experiment=$(realpath "$here/../../configs/digits.toml")
command -v cc >/dev/null || { echo "skipped: there is no C compiler"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cc -O1 -shared -fPIC -o memory.so "$here/memory.c"

digests() {
    (cd "$1/runs" && find . -name '*.parquet' -path '*/checkpoints/*' -o -name '*.safetensors' | sort | xargs sha256sum)
}
fail() {
    echo "allocation $at: $1"
    cat log
    exit 1
}
"$harness" run "$experiment" --out peace --runs 2 --jobs 2 --quiet --set train.epochs=2 --set 'record.checkpoints=[0]' \
    --set record.kernel.probes=20 --set data.train_limit=300 --set data.eval_limit=100 --set analysis.bootstraps=20 >/dev/null 2>&1
digests peace >expected
cp -r peace empty
rm -rf empty/runs/* empty/analysis empty/report

at=1 trials=0 ended=0
while :; do
    rm -rf broken
    cp -r empty broken
    code=0
    LD_PRELOAD=$folder/memory.so MEMORY_FAIL=$at "$harness" resume broken --jobs 2 --quiet >/dev/null 2>log || code=$?
    case $code in
        0 | 1 | 4 | 75 | 134) ;;
        *) fail "exit code $code" ;;
    esac
    verified=0
    "$harness" verify broken >log 2>&1 || verified=$?
    case $verified in
        0 | 6) ;;
        *) fail "verify ended with exit code $verified" ;;
    esac
    if grep -q 'does not have the contents\|bytes where\|cannot be used' log; then fail "a file is damaged"; fi
    trials=$((trials + 1))
    if [ "$code" -eq 0 ] && [ "$at" -gt 100 ]; then break; fi
    [ "$code" -eq 0 ] || ended=$((ended + 1))
    "$harness" resume broken --jobs 2 --quiet >/dev/null 2>log || fail "resume failed"
    digests broken >found
    cmp -s expected found || fail "not the same files"
    "$harness" verify broken >log 2>&1 || fail "not as written after resume"
    at=$((at + at / 8 + 1))
done
echo "$trials sweeps in which an allocation failed (up to the ${at}th), $ended of them ended early: the same bytes every time"
