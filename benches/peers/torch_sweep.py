"""A sweep as one would write it with PyTorch: some runs of one network on CIFAR-10, several processes at a time, each on one thread.

python torch_sweep.py DATA OUT [--network cnn] [--runs 4] [--jobs 2] [--epochs 2]

DATA is the folder of CIFAR-10's binary version. Each run reads it, keeps it as bytes, standardises its batches, trains with
SGD (rate 0.01, Nesterov momentum 0.9, weight decay 5e-4, batch 128), and writes its soft decisions on the evaluation set before
training and after every epoch, and its final weights, to OUT/RUN.
"""

import argparse
import pathlib
import subprocess
import sys

import numpy
import torch
from torch.nn import functional
from networks import NETWORKS
from torch_train import BATCH, CLASSES


def read(folder, names):
    images = torch.empty((10000 * len(names), 3, 32, 32), dtype=torch.uint8)
    labels = torch.empty(10000 * len(names), dtype=torch.int64)
    for name, some_images, some_labels in zip(names, images.split(10000), labels.split(10000)):
        records = torch.from_numpy(numpy.fromfile(folder / name, numpy.uint8)).view(-1, 3073)
        some_images.copy_(records[:, 1:].reshape(-1, 3, 32, 32))
        some_labels.copy_(records[:, 0])
    return images, labels


def train(data, out, name, epochs, seed):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    images, labels = read(data, [f"data_batch_{i}.bin" for i in range(1, 6)])
    held_out, held_out_labels = read(data, ["test_batch.bin"])
    # A part at a time: the whole data set as floats would take many times the memory.
    sums, squares, count = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), images.numel() / 3
    for part in images.split(1000):
        part = part.double()
        sums, squares = sums + part.sum((0, 2, 3)), squares + (part**2).sum((0, 2, 3))
    mean = (sums / count).float().view(3, 1, 1)
    deviation = (squares / count - (sums / count) ** 2).sqrt().float().view(3, 1, 1)
    network = NETWORKS[name](CLASSES)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, 0.9, nesterov=True, weight_decay=5e-4)

    def record(epoch):
        network.eval()
        with torch.no_grad():
            logits = torch.cat([network((part.float() - mean) / deviation) for part in held_out.split(256)])
        numpy.savez(out / f"soft-{epoch}.npz", logits=logits.numpy(), labels=held_out_labels.numpy())
        network.train()

    record(0)
    for epoch in range(1, epochs + 1):
        total, right = 0.0, 0
        for chosen in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            logits = network((images[chosen].float() - mean) / deviation)
            loss = functional.cross_entropy(logits, labels[chosen])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(chosen)
            right += (logits.argmax(1) == labels[chosen]).sum().item()
        record(epoch)
        print(f"run {seed} epoch {epoch} loss {total / len(images):.4f} accuracy {right / len(images):.4f}", flush=True)
    torch.save(network.state_dict(), out / "weights.pt")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--network", choices=[*NETWORKS], default="cnn")
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--run", type=int, help="train this run alone, in this process")
    arguments = parser.parse_args()
    if arguments.run is not None:
        out = arguments.out / str(arguments.run)
        out.mkdir(parents=True, exist_ok=True)
        train(arguments.data, out, arguments.network, arguments.epochs, arguments.run)
        return
    running = []
    for run in range(arguments.runs):
        if len(running) == arguments.jobs:
            wait(running)
        running.append(subprocess.Popen([sys.executable, *sys.argv, "--run", str(run)]))
    while running:
        wait(running)


def wait(running):
    """Waits for any process to end, so that the next run starts as soon as there is room."""
    while True:
        for process in running:
            try:
                if process.wait(0.05) != 0:
                    sys.exit("a run failed")
            except subprocess.TimeoutExpired:
                continue
            running.remove(process)
            return


if __name__ == "__main__":
    main()
