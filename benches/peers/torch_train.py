"""PyTorch's training throughput on the CPU, for the same networks and the same step as benches/train.rs, in the ways that its users
can choose.

python torch_train.py NETWORK [--threads N] [--modes MODE,...] [--bf16]

A mode is `eager`, or some of `compile` (torch.compile), `channels-last` and `fused` (the optimiser) joined by `+`; all are measured
unless some are named. Prints `torch NETWORK MODE threads=N IMAGES_PER_SECOND`, the best of five repeats. With --bf16 the forward
pass runs under autocast.
"""

import argparse
import itertools
import time

import torch
from networks import NETWORKS
from torch.nn import functional

BATCH, CLASSES = 128, 10
STEPS = {"mlp": 30, "cnn": 8, "resnet20": 3, "vit": 3, "depthwise": 3}
PARTS = ("compile", "channels-last", "fused")


def modes(name):
    """Every combination; the order of channels is nothing to a network without convolutions."""
    parts = [part for part in PARTS if name != "mlp" or part != "channels-last"]
    chosen = itertools.chain.from_iterable(itertools.combinations(parts, n) for n in range(len(parts) + 1))
    return ["+".join(some) or "eager" for some in chosen]


def measure(name, mode, threads, bf16):
    torch.manual_seed(0)
    torch._dynamo.reset()
    parts = mode.split("+")
    network = NETWORKS[name](CLASSES)
    images = torch.rand(BATCH, 3, 32, 32) * 2 - 1
    labels = (torch.arange(BATCH) * 7 + 3) % CLASSES
    if "channels-last" in parts:
        network = network.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    fused = True if "fused" in parts else None
    optimizer = torch.optim.SGD(network.parameters(), 0.01, 0.9, nesterov=True, weight_decay=5e-4, fused=fused)

    def loss_of(images, labels):
        with torch.autocast("cpu", torch.bfloat16, bf16):
            return functional.cross_entropy(network(images), labels)

    if "compile" in parts:
        loss_of = torch.compile(loss_of)
    best = float("inf")
    for repeat in range(6):
        start = time.perf_counter()
        for _ in range(STEPS[name]):
            optimizer.zero_grad()
            loss_of(images, labels).backward()
            optimizer.step()
        if repeat > 0:
            best = min(best, time.perf_counter() - start)
    label = mode + ("+bf16" if bf16 else "")
    print(f"torch {name} {label} threads={threads} {STEPS[name] * BATCH / best:.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=STEPS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--modes")
    parser.add_argument("--bf16", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for mode in arguments.modes.split(",") if arguments.modes else modes(arguments.network):
        measure(arguments.network, mode, arguments.threads, arguments.bf16)


if __name__ == "__main__":
    main()
