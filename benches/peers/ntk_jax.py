"""Trace NTK by neural-tangents (Novak 2022) in JAX: each of its three implementations on the CPU, in batches, compiled; the fastest counts.

ntk_jax.py time NAME P C FOLDER      seconds of the fastest of the kernel of FOLDER/weights.safetensors and inputs.npy, and its name
ntk_jax.py compare NAME P C FOLDER   relative error of the program's kernel.safetensors against it

FOLDER is what `ntk.py save` makes. Needs jax, neural-tangents and numpy; its structured derivatives do not run with jax 0.4.38.
"""
import json
import struct
import sys
import time

import numpy

import jax
import jax.numpy as jnp
import neural_tangents as nt
from jax import lax

# As large as fits beside the others on a machine of 24 GB.
BATCH = 16


def load(path):
    with open(path, "rb") as file:
        raw = file.read()
    (length,) = struct.unpack("<Q", raw[:8])
    header, data = json.loads(raw[8 : 8 + length]), raw[8 + length :]
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            arrays[name] = numpy.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    return arrays


def conv(x, weight, bias=None, stride=1):
    padding = [(weight.shape[2] // 2,) * 2, (weight.shape[3] // 2,) * 2]
    out = lax.conv_general_dilated(x, weight, (stride, stride), padding, dimension_numbers=("NCHW", "OIHW", "NCHW"))
    return out if bias is None else out + bias[:, None, None]


def pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def mlp(p, _, x):
    x = x.reshape(len(x), -1)
    for layer in ("1", "3"):
        x = jax.nn.relu(x @ p[f"{layer}.weight"].T + p[f"{layer}.bias"])
    return x @ p["5.weight"].T + p["5.bias"]


def cnn(p, _, x):
    for layer in ("c1", "c2"):
        x = pool(jax.nn.relu(conv(x, p[f"{layer}.weight"], p[f"{layer}.bias"])))
    return x.reshape(len(x), -1) @ p["fc.weight"].T + p["fc.bias"]


def resnet20(p, statistics, x):
    def norm(x, name):
        shape = lambda v: v[:, None, None]
        scale = p[f"{name}.weight"] / jnp.sqrt(statistics[f"{name}.running_var"] + 1e-5)
        return (x - shape(statistics[f"{name}.running_mean"])) * shape(scale) + shape(p[f"{name}.bias"])

    x = jax.nn.relu(norm(conv(x, p["c.weight"]), "b"))
    for block in range(9):
        name, stride = f"blocks.{block}", 2 if block in (3, 6) else 1
        y = jax.nn.relu(norm(conv(x, p[f"{name}.c1.weight"], stride=stride), f"{name}.b1"))
        y = norm(conv(y, p[f"{name}.c2.weight"]), f"{name}.b2")
        x = conv(x, p[f"{name}.sc.weight"], stride=stride) if f"{name}.sc.weight" in p else x
        x = jax.nn.relu(x + y)
    return x.mean((2, 3)) @ p["fc.weight"].T + p["fc.bias"]


NETWORKS = {"mlp": mlp, "cnn": cnn, "resnet20": resnet20}


def kernels(name, outputs, folder, examples):
    """For each implementation its name and a function that gives the kernel `[P, P]`."""
    tensors = load(f"{folder}/weights.safetensors")
    statistics = {key: jnp.array(value) for key, value in tensors.items() if "running" in key}
    parameters = {key: jnp.array(value) for key, value in tensors.items() if "running" not in key}
    inputs = jnp.array(numpy.load(f"{folder}/inputs.npy")[:examples])
    f = lambda p, x: NETWORKS[name](p, statistics, x)
    for way in (nt.NtkImplementation.JACOBIAN_CONTRACTION, nt.NtkImplementation.NTK_VECTOR_PRODUCTS, nt.NtkImplementation.STRUCTURED_DERIVATIVES):
        one = jax.jit(nt.empirical_ntk_fn(f, trace_axes=(-1,), vmap_axes=0, implementation=way))

        def whole(one=one):
            rows = []
            for i in range(0, examples, BATCH):
                parts = [one(inputs[i : i + BATCH], inputs[j : j + BATCH], parameters) for j in range(0, i + BATCH, BATCH)]
                rows.append(parts)
            out = numpy.zeros((examples, examples), "f8")
            for i, parts in enumerate(rows):
                for j, part in enumerate(parts):
                    # Its trace is a mean over the outputs.
                    block = numpy.asarray(part, "f8") * outputs
                    out[i * BATCH : (i + 1) * BATCH, j * BATCH : (j + 1) * BATCH] = block
                    out[j * BATCH : (j + 1) * BATCH, i * BATCH : (i + 1) * BATCH] = block.T
            return out

        yield way.name.lower(), whole


def measure(name, examples, outputs, folder):
    best = None
    for way, whole in kernels(name, outputs, folder, examples):
        try:
            result = whole()
        except Exception as why:
            # Not every implementation runs with every version of jax: it is named, and does not count.
            print(f"{way}: {str(why).splitlines()[-1]}", file=sys.stderr)
            continue
        times = []
        for _ in range(2):
            start = time.perf_counter()
            whole()
            times.append(time.perf_counter() - start)
        print(f"{way}: {min(times):.3f} s", file=sys.stderr)
        if best is None or min(times) < best[0]:
            best = (min(times), way)
            numpy.save(f"{folder}/kernel_jax.npy", result)
    print(*best)


def compare(_name, _examples, _outputs, folder):
    ours = load(f"{folder}/kernel.safetensors")["trace"].astype(float)
    theirs = numpy.load(f"{folder}/kernel_jax.npy")
    print(numpy.linalg.norm(ours - theirs) / numpy.linalg.norm(theirs))


if __name__ == "__main__":
    action, name, examples, outputs, folder = sys.argv[1:]
    {"time": measure, "compare": compare}[action](name, int(examples), int(outputs), folder)
