#!/usr/bin/env bash
# The checks that take too long for every day: `tests/slow.sh NAME` runs tests/NAME/slow.sh, `tests/slow.sh all` every one of
# them, and without a name they are listed, each with its first line of explanation. What follows the name goes to the script.
set -euo pipefail
cd "$(dirname "$0")/.."

list() {
    for script in tests/*/slow.sh; do
        printf '%-12s %s\n' "$(basename "$(dirname "$script")")" "$(sed -n '2s/^# *//p' "$script")"
    done
}

case "${1:-}" in
"") list ;;
all)
    failed=()
    for script in tests/*/slow.sh; do
        echo "== $script"
        "$script" || failed+=("$script")
    done
    [ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
    ;;
*)
    script="tests/$1/slow.sh"
    [ -x "$script" ] || { echo "there is no $script; there are:" >&2; list >&2; exit 2; }
    shift
    exec "./$script" "$@"
    ;;
esac
