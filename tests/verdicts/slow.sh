#!/usr/bin/env bash
# How often every verdict is right: flags, intervals, comparisons and nights on pools of real runs; prints one table.
# Trains the pools first (460 small networks, about 10 minutes on two cores), into HARNESS_POOLS, where they are kept and used again.
# More healthy pools, NAME_logits.npz made by `harness export`, are counted as well. SWEEPS sets the sweeps whose flags are counted (1000),
# ROUNDS the pairs of sweeps that are compared (1000 for false findings, 400 for power); comparing takes longest, 0.1 s of one core a pair.
# An argument chooses one group: flags, coverage, compare or nights.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --quiet
harness=${HARNESS:-${CARGO_TARGET_DIR:-target}/release/harness}
pools=${HARNESS_POOLS:-target/verdicts}
mkdir -p "$pools"
pools=$(realpath "$pools")
experiment=tests/verdicts/pool.toml

# train NAME [MORE…]: the logits of a sweep, once.
train() {
    local name=$1
    shift
    [ -f "$pools/$name.npz" ] && return
    "$harness" run "$experiment" --quiet --out "$pools/sweeps/$name" "$@" >/dev/null
    "$harness" export "$pools/sweeps/$name" --to "$pools/$name.npz" >/dev/null
}

train clean_logits
train faults_noise10 --runs 12 --set sweep.seed=1000 --set data.label_noise=0.1
train faults_noise30 --runs 12 --set sweep.seed=1000 --set data.label_noise=0.3
train faults_half --runs 12 --set sweep.seed=1000 --set data.train_limit=648
train faults_quarter --runs 12 --set sweep.seed=1000 --set data.train_limit=324
# One class's labels drawn from all classes: another class in each pool.
for class in 0 1 2 3 4 5 6 7 8 9; do
    train "faults_class_$class" --runs 2 --set "sweep.seed=$((2000 + class))" --set "data.noisy_class=$class"
done

HARNESS_POOLS=$pools cargo test --release --test verdicts "${1:-}" -- --ignored --nocapture --test-threads 1 2>&1 |
    tee "$pools/counts.txt" | grep -v '^ *Compiling\|^ *Finished\|^ *Running\|^$'
exit "${PIPESTATUS[0]}"
