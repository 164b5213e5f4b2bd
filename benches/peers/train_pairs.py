"""Ours and the best of PyTorch's modes, alternately: see train_vs_torch.sh, which calls this."""

import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NETWORKS = ["mlp", "cnn", "resnet20", "vit", "depthwise"]


def call(*command):
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def torch(network, threads, *options):
    lines = call(sys.executable, HERE / "torch_train.py", network, "--threads", threads, *options)
    return {line.split()[2]: float(line.split()[4]) for line in lines}


def main():
    bench, pairs, threads, *names = sys.argv[1:]
    threads = int(threads)
    os.environ.update(OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="PASSIVE", RAYON_NUM_THREADS=str(threads))
    print(f"Images per second of training, batch 128 of 3x32x32, {threads} thread(s), medians of {pairs} alternating pairs")
    print("network        ours   plain Flex   PyTorch eager   PyTorch's best                                  ratio    best in bf16")
    for name in names or NETWORKS:
        modes = torch(name, threads)
        best = max(modes, key=modes.get)
        rows = []
        for _ in range(int(pairs)):
            ours = {line.split()[0]: float(line.split()[3]) for line in call(bench, "--threads", threads, "--plain", name)}
            theirs = torch(name, threads, "--modes", best)[best]
            rows.append((ours["harness"], ours.get("flex", float("nan")), theirs))
        ours, plain, theirs = (statistics.median(column) for column in zip(*rows))
        half = torch(name, threads, "--bf16", "--modes", f"{best},eager")
        print(
            f"{name:9} {ours:9.0f} {plain:12.0f} {modes['eager']:15.0f}   {theirs:7.0f} {best:36} {ours / theirs:8.2f} {max(half.values()):15.0f}",
            flush=True,
        )


main()
