#!/usr/bin/env bash
# Puts published claims to the test: `experiments/run.sh NAME|all [--quick]`. What has been trained is kept, so that a
# stopped experiment goes on. See experiments/README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=${1:?"usage: experiments/run.sh NAME|all [--quick]; names: $(cd "$here" && echo */claim.py | sed 's,/claim.py,,g')"}
shift
export PYTHONDONTWRITEBYTECODE=1
if [ "$name" != all ]; then
    exec "$here/$name/run.sh" "$@"
fi
python3 -m unittest -q "$here/test_common.py"
python3 "$here/index.py" --check
failed=
for script in "$here"/*/run.sh; do
    began=$SECONDS
    "$script" "$@" || failed="$failed $(basename "$(dirname "$script")")"
    echo "  $((SECONDS - began)) s"
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
