#!/usr/bin/env bash
# How often `harness compare` calls healthy pairs of sweeps different, and how often it finds real differences.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --quiet
tests/compare/false_alarms.sh "${CARGO_TARGET_DIR:-target}/release/harness" "$@"
