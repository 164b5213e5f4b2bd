#!/bin/bash
# Lets the write layer of every run's process fail at its first, second, third … operation, in every way that it can:
# short writes, no space, refused renames, other errors, sudden death. The sweep must end with exit code 4 or 75 (or 0 once
# there are fewer operations than that), `harness verify` must find nothing amiss or name the file, and `harness resume`
# must finish with the files of a sweep left in peace.
# Usage: faults.sh HARNESS [STEP] [KIND...]      (STEP 1 tries every operation; without KIND all kinds are tried)
set -euo pipefail

harness=$(realpath "$1")
step=${2:-1}
kinds=("${@:3}")
if [ ${#kinds[@]} -eq 0 ]; then kinds=(short space rename any kill); fi
experiment=$(realpath "$(dirname "$0")/../../configs/digits.toml")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# The files that must not depend on how a run came about.
digests() {
    (cd "$1/runs" && find . -name '*.parquet' -path '*/checkpoints/*' -o -name '*.safetensors' | sort | xargs sha256sum)
}

fail() {
    echo "$1"
    cat log
    exit 1
}

"$harness" run "$experiment" --out peace --runs 2 --jobs 2 --quiet \
    --set train.epochs=2 --set 'record.checkpoints=[0]' --set record.kernel.probes=20 >/dev/null 2>&1
digests peace >expected
if HARNESS_FAULT=any:1 "$harness" run "$experiment" --out faulty --runs 1 --quiet >/dev/null 2>&1; then
    echo "$harness heeds no HARNESS_FAULT: build it with --features fault-injection"
    exit 2
fi
cp -r peace empty
rm -rf empty/runs/* empty/analysis empty/report

for kind in "${kinds[@]}"; do
    at=1
    while :; do
        rm -rf broken
        cp -r empty broken
        code=0
        HARNESS_FAULT=$kind:$at "$harness" resume broken --jobs 2 --quiet >/dev/null 2>log || code=$?
        complete=$({ grep -l '"status": "complete"' broken/runs/*/run.json 2>/dev/null || true; } | wc -l)
        case $code in
            0) ;;
            4) if [ "$complete" -eq 2 ]; then fail "$kind:$at: exit code 4, but both runs are complete"; fi ;;
            # Perhaps with both runs complete and only the report unwritten.
            75) ;;
            # The engine died itself, as its processes do.
            134) if [ "$kind" != kill ]; then fail "$kind:$at: exit code 134"; fi ;;
            *) fail "$kind:$at: exit code $code" ;;
        esac
        verified=0
        "$harness" verify broken >log 2>&1 || verified=$?
        case $verified in
            0 | 6) ;;
            *) fail "$kind:$at: verify ended with exit code $verified" ;;
        esac
        if [ "$code" -eq 0 ] && [ "$at" -gt 5 ]; then break; fi
        "$harness" resume broken --jobs 2 --quiet >/dev/null 2>log || fail "$kind:$at: resume failed"
        if [ ! -f broken/report/report.md ]; then fail "$kind:$at: no report after resume"; fi
        digests broken >found
        cmp -s expected found || fail "$kind:$at: not the same files"
        "$harness" verify broken >log 2>&1 || fail "$kind:$at: not as written after resume"
        at=$((at + step))
    done
    echo "$kind: $((at - 1)) operations"
done
