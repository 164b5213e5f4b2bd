#!/usr/bin/env python3
"""Loads the ensemble beside this file into PyTorch and applies it.

    python load_ensemble.py X.npy [P.npy]

X.npy holds images in the units of the data set's files, not standardised, as [N, C, H, W], [N, H, W] for one channel, or
[N, C*H*W]. Without P.npy a line is printed for each image: its number, the decision, and its probability.

    from load_ensemble import Ensemble
    ensemble = Ensemble("ensemble.json")
    probabilities = ensemble(images)        # NumPy or torch, [N, C, H, W] -> torch [N, classes]
    ensemble.networks[0]                    # an ordinary torch.nn.Module

Needs Python 3.11 or later, NumPy and PyTorch. The weights are safetensors files, which are read here without the
safetensors package: eight bytes of length, a JSON header, and the numbers.
"""

import json
import struct
import sys
import tomllib
from pathlib import Path

import numpy as np
import torch
from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
TYPES = {"F32": "<f4", "F64": "<f8", "U32": "<u4", "U8": "u1"}


def read_safetensors(path):
    """The arrays of a safetensors file, by name."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            values = np.frombuffer(data[start:end], dtype=TYPES[entry["dtype"]])
            arrays[name] = values.reshape(entry["shape"])
    return arrays


class Mlp(nn.Module):
    """Dense layers fc1, fc2, ..., fc."""

    def __init__(self, shape, classes, widths, activation, dropout):
        super().__init__()
        dense(self, int(np.prod(shape)), widths, classes)
        self.hidden, self.activation = len(widths), ACTIVATIONS[activation]()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = x.flatten(1)
        for i in range(self.hidden):
            x = self.activation(getattr(self, f"fc{i + 1}")(self.dropout(x) if i else x))
        return self.fc(self.dropout(x) if self.hidden else x)


class Cnn(nn.Module):
    """Blocks of convolution c1, c2, ..., batch norm b1, b2, ... where there are any, activation and pooling; then dense."""

    def __init__(self, shape, classes, channels, kernel, pool, batch_norm, head, activation, dropout):
        super().__init__()
        inputs, height, width = shape
        self.blocks, self.batch_norm, self.pool = len(channels), batch_norm, max(pool, 1)
        for i, outputs in enumerate(channels, 1):
            setattr(self, f"c{i}", nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not batch_norm))
            if batch_norm:
                setattr(self, f"b{i}", nn.BatchNorm2d(outputs))
            inputs, height, width = outputs, height // self.pool, width // self.pool
        dense(self, inputs * height * width, head, classes)
        self.hidden, self.activation = len(head), ACTIVATIONS[activation]()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        for i in range(1, self.blocks + 1):
            x = getattr(self, f"c{i}")(x)
            if self.batch_norm:
                x = getattr(self, f"b{i}")(x)
            x = nn.functional.max_pool2d(self.activation(x), self.pool)
        x = x.flatten(1)
        for i in range(1, self.hidden + 1):
            x = self.activation(getattr(self, f"fc{i}")(self.dropout(x)))
        return self.fc(self.dropout(x))


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.c1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.b1 = nn.BatchNorm2d(outputs)
        self.c2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.b2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.sc = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x):
        body = self.b2(self.c2(torch.relu(self.b1(self.c1(x)))))
        return torch.relu(body + (x if self.sc is None else self.sc(x)))


class Resnet(nn.Module):
    """6n + 2 layers for small images (He 2016)."""

    def __init__(self, shape, classes, depth, width):
        super().__init__()
        self.c = nn.Conv2d(shape[0], width, 3, padding=1, bias=False)
        self.b = nn.BatchNorm2d(width)
        self.blocks, inputs = nn.ModuleList(), width
        for stage in range(3):
            for i in range((depth - 2) // 6):
                outputs = width << stage
                self.blocks.append(Block(inputs, outputs, 2 if stage and not i else 1))
                inputs = outputs
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = torch.relu(self.b(self.c(x)))
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((2, 3)))


def dense(module, inputs, widths, classes):
    """Gives `module` the layers fc1, fc2, ... and fc."""
    for i, outputs in enumerate(widths, 1):
        setattr(module, f"fc{i}", nn.Linear(inputs, outputs))
        inputs = outputs
    module.fc = nn.Linear(inputs, classes)


KINDS = {"mlp": Mlp, "cnn": Cnn, "resnet": Resnet}


class Ensemble:
    """The networks of an ensemble file, and the mean of their predictions."""

    def __init__(self, path):
        path = Path(path)
        self.description = json.loads(path.read_text())
        if self.description["schema"] != "harness.ensemble/1":
            raise ValueError(f"{path} has the schema {self.description['schema']}, and this script reads harness.ensemble/1")
        if not self.description.get("members"):
            raise ValueError(f"{path} holds no weights: {self.description.get('without_weights')}")
        model = tomllib.loads((path.parent / self.description["model"]).read_text())
        self.classes, self.shape = model["classes"], model["input"]["shape"]
        self.mean = np.asarray(model["input"]["mean"]).reshape(-1, 1, 1)
        self.deviation = np.asarray(model["input"]["deviation"]).reshape(-1, 1, 1)
        arguments = dict(model["model"])
        kind = arguments.pop("kind")
        self.networks = []
        for member in self.description["members"]:
            network = KINDS[kind](self.shape, len(self.classes), **arguments)
            arrays = read_safetensors(path.parent / member["path"])
            network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
            self.networks.append(network.eval())

    def standardise(self, images):
        """Images in the units of the data set's files as the networks want them, float32 [N, C, H, W]."""
        images = np.asarray(images, dtype=np.float64).reshape(-1, *self.shape)
        return torch.from_numpy(((images - self.mean) / self.deviation).astype(np.float32))

    @torch.no_grad()
    def __call__(self, images):
        """Probabilities [N, classes]."""
        inputs = self.standardise(images)
        logits = torch.stack([network(inputs).double() for network in self.networks])
        if self.description["combination"] == "probabilities":
            mean = logits.softmax(-1).mean(0).clamp_min(1e-300).log()
        else:
            mean = logits.mean(0)
        return (mean / self.description["temperature"]).softmax(-1)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    ensemble = Ensemble(Path(__file__).resolve().parent / "ensemble.json")
    probabilities = ensemble(np.load(sys.argv[1])).numpy()
    if len(sys.argv) == 3:
        np.save(sys.argv[2], probabilities.astype(np.float32))
        return
    for i, row in enumerate(probabilities):
        print(i, ensemble.classes[row.argmax()], f"{row.max():.6f}", sep="\t")


if __name__ == "__main__":
    main()
