#!/usr/bin/env python3
"""Loads the ensemble beside this file into PyTorch and applies it.

    python load_ensemble.py X.npy [P.npy]

X.npy holds images in the units of the data set's files, not standardised, as [N, C, H, W], [N, H, W] for one channel, or
[N, C*H*W]. Without P.npy a line is printed for each image: its number, the decision, and its probability.

    from load_ensemble import Ensemble
    ensemble = Ensemble("ensemble.json")
    probabilities = ensemble(images)        # NumPy or torch, [N, C, H, W] -> torch [N, classes]
    ensemble.networks[0]                    # an ordinary torch.nn.Module, see network.py

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
        sys.path.insert(0, str(path.resolve().parent))
        from network import Network

        self.networks = []
        for member in self.description["members"]:
            network = Network()
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
