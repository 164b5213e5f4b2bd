#!/usr/bin/env bash
# Kills at random moments and injected faults of the write layer: about an hour.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --quiet
harness=${CARGO_TARGET_DIR:-target}/release/harness
tests/kill/rounds.sh "$harness" "${1:-200}"
tests/kill/faults.sh "$harness" "${2:-3}"
