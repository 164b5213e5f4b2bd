#!/usr/bin/env bash
# Makes the committed samples of this folder anew, from the embedded digits alone (about five minutes on two cores); that of the microscope
# only when it is named, since it needs CIFAR-10 and PyTorch.
# Usage: reports/make.sh [NAME …]     HARNESS: the program; WORK: where sweeps are trained, and taken from if they are there; for the microscope
# PYTHON (torch, numpy) and DATA (a folder with cifar-10-batches-bin/), or EMBEDDINGS (what tests/microscope/embed.py made of them).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
harness=$(realpath "${HARNESS:-target/release/harness}")
configs=$(realpath "$here/../configs")
work=${WORK:-$(mktemp -d)}
mkdir -p "$work"
cd "$work"

# sweep OUT [MORE…]: a sweep of the quick start, trained if it is not there.
sweep() {
    local out=$1
    shift
    [ -f "$out/report/report.md" ] || "$harness" run "$configs/digits.toml" --quiet --out "$out" "$@"
}

# put NAME FILE…: these files, and nothing else, are the sample.
put() {
    local to=$here/$1
    shift
    rm -rf "$to"
    mkdir -p "$to"
    cp "$@" "$to"
}

digits() {
    sweep digits
    "$harness" report digits
    put digits digits/report/report.{md,html} digits/report/*.svg
}

# Eleven networks of which one saw the labels of one class shuffled.
planted() {
    sweep digits
    sweep fault --runs 1 --set data.noisy_class=7 --set sweep.seed=4
    "$harness" export digits --to healthy
    "$harness" export fault --to shuffled
    "$harness" analyze healthy/logits.npy shuffled/logits.npy --labels healthy/labels.npy \
        --names zero,one,two,three,four,five,six,seven,eight,nine \
        --title 'Digits with a planted fault' --out planted-report || [ $? = 5 ]
    put planted planted-report/*.{md,html,svg}
}

compare() {
    sweep digits
    sweep half --set data.train_limit=648 --set sweep.seed=1000
    "$harness" compare digits half --out comparison || [ $? = 5 ]
    put compare comparison/*.{md,html,json,svg}
}

history() {
    for night in 1 2 3 4 5 6 7 8; do
        [ -d "nights/night-0$night" ] || "$harness" run "$configs/digits.toml" --quiet --out "nights/night-0$night" --set "sweep.seed=$night"
    done
    [ -d nights/night-09 ] ||
        "$harness" run "$configs/digits.toml" --quiet --out nights/night-09 --set sweep.seed=9 --set data.train_limit=648
    "$harness" history nights --out charts || [ $? = 5 ]
    put history charts/*.{md,html,json,svg}
}

attribution() {
    "$harness" attribute "$configs/digits.toml" --quiet --out attribution-sweeps --also bit --runs 60
    put attribution attribution-sweeps/*.{md,json,svg}
}

ensemble() {
    sweep digits
    "$harness" select digits --out chosen --size 3
    put ensemble chosen/*
}

# Digits 0 to 4 seen by four founders and what was trained on from them.
lineage() {
    [ -d founders/runs ] || "$harness" run "$configs/digits.toml" --quiet --out founders --runs 4 --set name=founders --set data.classes=[0,1,2,3,4]
    local founder child
    for founder in 0 1; do
        child=founders/runs/000$founder/checkpoints/0015/weights.safetensors
        [ -d "child-$founder/runs" ] || "$harness" run "$configs/finetune.toml" --quiet --out "child-$founder" --runs 2 --set "name=child-$founder" --set "model.weights=$child"
    done
    child=child-0/runs/0000/checkpoints/0010/weights.safetensors
    [ -d grandchild/runs ] || "$harness" run "$configs/finetune.toml" --quiet --out grandchild --runs 1 --set "model.weights=$child" \
        --set name=grandchild --set model.head=keep --set sweep.seed=7
    "$harness" lineage founders child-0 child-1 grandchild --out tree
    put lineage tree/*
}

# A thousand CIFAR-10 images and as many others that were made noisy, seen by a small network.
microscope() {
    local python=${PYTHON:-python3} embeddings=${EMBEDDINGS:-$work/embeddings}
    [ -f "$embeddings/plain.npy" ] || "$python" "$here/../tests/microscope/embed.py" "$DATA" "$embeddings"
    "$python" - "$embeddings" <<'PYTHON'
import sys
import numpy as np
folder, names = sys.argv[1], "plane car bird cat deer dog frog horse ship truck".split()
load = lambda name: np.load(f"{folder}/{name}.npy")
labels = load("plain_labels")
for name, embeddings, images, start in (("plain", "plain", "images", 0), ("noisy", "noise_0.2", "noise_images", 10000)):
    np.save(f"{name}.npy", load(embeddings)[start : start + 1000])
    np.save(f"{name}-images.npy", load(images)[:1000])
    with open(f"{name}-class.csv", "w") as out:
        out.write("class\n" + "".join(names[label] + "\n" for label in labels[start : start + 1000]))
PYTHON
    "$harness" microscope plain.npy noisy.npy --labels plain-class.csv noisy-class.csv --images plain-images.npy noisy-images.npy --out seen
    put microscope seen/*
}

for sample in "${@:-digits planted compare history attribution ensemble lineage}"; do
    for name in $sample; do
        echo "== $name"
        "$name"
    done
done
