"""Trace NTK in PyTorch: the Jacobian of every example by torch.func, chunked over examples, then its products.

ntk.py save NAME P C FOLDER      weights, inputs and model file of a network
ntk.py time NAME P C FOLDER      the kernel of those, on one thread, the faster of two times; prints its seconds and CPU seconds
ntk.py compare NAME P C FOLDER   relative error of the program's kernel.safetensors against it
"""
import sys
import time

import numpy
import torch
from torch.func import functional_call, jacrev, vmap

from networks import MODELS, NETWORKS, load_safetensors, save_safetensors

CHUNK = 16


def network(name, outputs):
    torch.manual_seed(0)
    return NETWORKS[name](outputs).eval()


def save(name, examples, outputs, folder):
    net = network(name, outputs)
    save_safetensors(net.state_dict(), f"{folder}/weights.safetensors")
    numpy.save(f"{folder}/inputs.npy", (torch.rand(examples, 3, 32, 32) * 2 - 1).numpy())
    with open(f"{folder}/model.toml", "w") as file:
        file.write(MODELS[name])


def kernel(net, inputs):
    parameters = {name: value.detach() for name, value in net.named_parameters()}
    buffers = dict(net.named_buffers())

    def output(parameters, buffers, example):
        return functional_call(net, (parameters, buffers), (example[None],))[0]

    jacobian = vmap(jacrev(output), (None, None, 0), chunk_size=CHUNK)(parameters, buffers, inputs)
    total = torch.zeros(len(inputs), len(inputs))
    for part in jacobian.values():
        rows = part.flatten(2)
        for c in range(rows.shape[1]):
            total += rows[:, c] @ rows[:, c].T
    return total


def measure(name, examples, outputs, folder):
    torch.set_num_threads(1)
    net = network(name, outputs)
    inputs = torch.from_numpy(numpy.load(f"{folder}/inputs.npy"))[:examples]
    times = []
    for _ in range(2):
        start = time.perf_counter(), time.process_time()
        result = kernel(net, inputs)
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    numpy.save(f"{folder}/kernel.npy", result.numpy())
    print(*(min(column) for column in zip(*times)))


def compare(_name, _examples, _outputs, folder):
    ours = load_safetensors(f"{folder}/kernel.safetensors")["trace"].astype(float)
    theirs = numpy.load(f"{folder}/kernel.npy").astype(float)
    print(numpy.linalg.norm(ours - theirs) / numpy.linalg.norm(theirs))


if __name__ == "__main__":
    action, name, examples, outputs, folder = sys.argv[1:]
    {"save": save, "time": measure, "compare": compare}[action](name, int(examples), int(outputs), folder)
