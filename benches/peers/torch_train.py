"""PyTorch's training throughput on the CPU, for the same networks and the same step as benches/train.rs.

python torch_train.py [--threads N] [mlp] [cnn] [resnet20]

Prints `torch NETWORK threads=N IMAGES_PER_SECOND`, the best of five repeats.
"""

import argparse
import time

import torch
from torch import nn
from torch.nn import functional

BATCH, CLASSES = 128, 10


def mlp():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3072, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, CLASSES)
    )


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4096, CLASSES),
    )


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x):
        return functional.relu(self.second(self.first(x)) + self.shortcut(x))


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    channels = 16
    for width in (16, 32, 64):
        for _ in range(3):
            layers.append(Block(channels, width, 1 if channels == width else 2))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES))


NETWORKS = {"mlp": (mlp, 30), "cnn": (cnn, 8), "resnet20": (resnet20, 3)}


def measure(name, threads):
    torch.manual_seed(0)
    build, steps = NETWORKS[name]
    network = build()
    optimizer = torch.optim.SGD(network.parameters(), 0.01, 0.9, nesterov=True, weight_decay=5e-4)
    images = torch.rand(BATCH, 3, 32, 32) * 2 - 1
    labels = (torch.arange(BATCH) * 7 + 3) % CLASSES
    best = float("inf")
    for repeat in range(6):
        start = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
        if repeat > 0:
            best = min(best, time.perf_counter() - start)
    print(f"torch {name} threads={threads} {steps * BATCH / best:.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("networks", nargs="*", choices=[*NETWORKS, []], default=[])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.networks or NETWORKS:
        measure(name, arguments.threads)


if __name__ == "__main__":
    main()
