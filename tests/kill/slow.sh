#!/usr/bin/env bash
# Kills, injected faults, failing memory, losses of power, clocks that differ, repairs beside reports: about two hours.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --quiet
harness=${CARGO_TARGET_DIR:-target}/release/harness
tests/kill/rounds.sh "$harness" "${1:-200}"
tests/kill/beside.sh "$harness" 120
tests/kill/memory.sh "$harness"
tests/kill/clocks.sh "$harness"
python3 tests/kill/powerloss.py "$harness" 200
# Faults are injected into a program that is built for it, which nobody else uses.
cargo build --release --quiet --features fault-injection
faulty=$(mktemp)
trap 'rm -f "$faulty"' EXIT
cp "$harness" "$faulty" && chmod +x "$faulty"
cargo build --release --quiet
tests/kill/faults.sh "$faulty" "${2:-3}"
