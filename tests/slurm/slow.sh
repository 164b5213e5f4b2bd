#!/usr/bin/env bash
# Fifty runs on a Slurm cluster of one node that loses tasks and its daemon: about five minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --quiet
tests/slurm/fifty.sh "${CARGO_TARGET_DIR:-target}/release/harness"
