#!/usr/bin/env bash
# Mix-ups, corruptions, kills and hostile directories: nothing is taken for what it is not (about half an hour)
# Usage: slow.sh [HARNESS] [MIXUPS] [CORRUPTIONS] [KILLS] [DIRECTORIES]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ $# = 0 ]; then (cd "$here/../.." && cargo build --release --quiet); fi
harness=$(realpath "${1:-${CARGO_TARGET_DIR:-$here/../../target}/release/harness}")
command -v python3 >/dev/null || { echo "skipped: there is no python3"; exit 0; }

failed=0
step() {
    echo "== $*"
    "$@" || failed=1
}
step python3 "$here/trust.py" "$harness" mixups "${2:-300}"
step python3 "$here/trust.py" "$harness" corruptions "${3:-300}"
step python3 "$here/trust.py" "$harness" hostile "${5:-100}"
step "$here/../kill/rounds.sh" "$harness" "${4:-200}"
exit $failed
