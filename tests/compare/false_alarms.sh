#!/bin/bash
# How often `harness compare` cries wolf, and how often it sees a wolf: sweeps of ten runs are drawn from pools of digits runs,
# 200 pairs from one pool, and 100 pairs each from that pool and one of half the training data, of twice the width, of half
# the width. Prints the counts; ends with 1 if more than 5 % of the former or less than 95 % of the latter turn red.
# Usage: false_alarms.sh HARNESS [FOLDER [ALARMS CATCHES]]; pools that lie in FOLDER already are used again.
set -euo pipefail

harness=$(realpath "$1")
folder=${2:-$(mktemp -d)}
alarms=${3:-200}
catches=${4:-100}
experiment=$(realpath "$(dirname "$0")/../../configs/digits.toml")
pool=100
others=60
mkdir -p "$folder"
cd "$folder"

# train NAME RUNS SEED [OVERRIDE]: a pool with seeds of its own, so that no run of one has anything to do with a run of another.
train() {
    local name=$1 runs=$2 seed=$3
    shift 3
    "$harness" run "$experiment" --out "$name" --runs "$runs" --quiet --set "sweep.seed=$seed" "$@" >"$name.log" 2>&1 ||
        { cat "$name.log"; exit 1; }
}

begun=$SECONDS
train pool "$pool" 100
train half "$others" 101 --set data.train_limit=648
train wide "$others" 102 --set 'model.channels=[32, 64]'
train narrow "$others" 103 --set 'model.channels=[8, 16]'
echo "pools of $pool and 3 x $others runs: $((SECONDS - begun)) s"

# draw SEED FROM COUNT: COUNT different numbers below FROM, separated by commas.
draw() {
    awk -v seed="$1" -v from="$2" -v count="$3" 'BEGIN {
        srand(seed)
        for (i = 0; i < from; i++) order[i] = i
        for (i = 0; i < count; i++) {
            j = i + int(rand() * (from - i)); t = order[i]; order[i] = order[j]; order[j] = t
            printf "%s%d", (i ? "," : ""), order[i]
        }
    }'
}

# compare CANDIDATE BASELINE_RUNS CANDIDATE_RUNS: counts the verdict; sets `code`.
compare() {
    code=0
    "$harness" compare pool "$1" --baseline-runs "$2" --candidate-runs "$3" --json >found.json 2>found.log || code=$?
    if [ "$code" != 0 ] && [ "$code" != 5 ]; then
        cat found.log
        exit 1
    fi
    sed 's/.*"verdict":"\([a-z]*\)".*/\1/' found.json >>"verdicts-$1"
    # The metrics that turned red.
    sed 's/^error: [^:]*: //; s/ beyond the tolerance//; s/, /\n/g' found.log >>"metrics-$1"
}

tally() { sort "$1" | uniq -c | sort -rn | awk '{ printf "%s%s %s", (NR > 1 ? ", " : ""), $2, $1 }'; }

rm -f verdicts-* metrics-*
begun=$SECONDS
red=0
for ((round = 0; round < alarms; round++)); do
    runs=$(draw "$round" "$pool" 20)
    compare pool "$(cut -d, -f1-10 <<<"$runs")" "$(cut -d, -f11-20 <<<"$runs")"
    if [ "$code" = 5 ]; then red=$((red + 1)); fi
done
echo "one pool: $red of $alarms comparisons red ($(tally verdicts-pool); $((SECONDS - begun)) s)"
if [ -s metrics-pool ]; then echo "  by $(tally metrics-pool)"; fi
status=0
if [ $((red * 100)) -gt $((alarms * 5)) ]; then status=1; fi

for change in half wide narrow; do
    begun=$SECONDS
    red=0
    for ((round = 0; round < catches; round++)); do
        compare "$change" "$(draw "$((1000 + round))" "$pool" 10)" "$(draw "$((2000 + round))" "$others" 10)"
        if [ "$code" = 5 ]; then red=$((red + 1)); fi
    done
    echo "$change: $red of $catches comparisons red ($(tally "verdicts-$change"); $((SECONDS - begun)) s)"
    echo "  by $(tally "metrics-$change")"
    if [ $((red * 100)) -lt $((catches * 95)) ]; then status=1; fi
done
exit $status
