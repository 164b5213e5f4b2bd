"""Trains small networks whose ancestry is known, for tests/lineage/slow.sh: python train.py DATA OUT [--seed S] [--trees N] [FAMILY...]

DATA holds fashion-mnist/ and cifar-10-batches-bin/. Each family gets founders (independent initialisations and orders, same
data), descendants of every kind, and for the MLP also trees. OUT/FAMILY/NAME.safetensors; OUT/FAMILY/kinds.json says who
comes from whom and how; OUT/FAMILY/treeN.json and sharedN.json list the members of tree N as {name: parent or null}.
--seed S draws other networks; with --trees N there are only founders and N trees of either kind.
"""
import argparse, gzip, json, os
import numpy as np, torch
from torch import nn
from torch.nn import functional as F
from safetensors.torch import save_file

torch.set_num_threads(1)
TRAIN = 4000
FRESH = 0


def fashion(folder):
    def read(name, skip):
        path = os.path.join(folder, "fashion-mnist", name)
        data = gzip.open(path + ".gz").read() if os.path.exists(path + ".gz") else open(path, "rb").read()
        return np.frombuffer(data, np.uint8, offset=skip)
    x = read("train-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)[:2 * TRAIN]
    y = read("train-labels-idx1-ubyte", 8)[:2 * TRAIN]
    x = torch.from_numpy(x.astype(np.float32) / 255)
    return (x - x.mean()) / x.std(), torch.from_numpy(y.astype(np.int64))


def cifar(folder):
    raw = np.fromfile(os.path.join(folder, "cifar-10-batches-bin", "data_batch_1.bin"), np.uint8).reshape(-1, 3073)[:2 * TRAIN]
    x = torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255)
    x = F.avg_pool2d(x, 2)
    return (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True), torch.from_numpy(raw[:, 0].astype(np.int64))


class Block(nn.Module):
    def __init__(self, a, b, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False); self.bn1 = nn.BatchNorm2d(b)
        self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=False); self.bn2 = nn.BatchNorm2d(b)
        self.shortcut = nn.Conv2d(a, b, 1, stride, bias=False) if a != b else None

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


def network(family):
    if family == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    if family == "cnn":
        return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
                             nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10))
    class Res(nn.Module):
        def __init__(self):
            super().__init__()
            self.c1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False); self.b1 = nn.BatchNorm2d(16)
            self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
            self.fc = nn.Linear(64, 10)
        def forward(self, x):
            return self.fc(self.blocks(F.relu(self.b1(self.c1(x)))).mean((2, 3)))
    return Res()


def train(net, x, y, epochs, seed, family, rate=1.0, mask=None):
    order = torch.Generator().manual_seed(seed + FRESH)
    if family == "mlp":
        opt = torch.optim.Adam(net.parameters(), 1e-3 * rate)
    else:
        opt = torch.optim.SGD(net.parameters(), 0.05 * rate, momentum=0.9, weight_decay=5e-4)
    net.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=order).split(64):
            loss = F.cross_entropy(net(x[rows]), y[rows])
            opt.zero_grad(); loss.backward(); opt.step()
            if mask:
                with torch.no_grad():
                    for p, m in mask:
                        p.mul_(m)
    return net


def halved(net):
    """Sets the smaller half of every weight matrix to zero; the masks that keep it so."""
    masks = []
    for p in net.parameters():
        if p.dim() > 1:
            m = (p.abs() > p.abs().flatten().median()).float()
            p.data.mul_(m)
            masks.append((p, m))
    return masks


def copy(family, state):
    net = network(family); net.load_state_dict(state); return net


def state(net):
    return {k: v.detach().clone().contiguous() for k, v in net.state_dict().items()}


def permuted(family, s, seed):
    """The same function with its hidden units in another order."""
    g = torch.Generator().manual_seed(seed)
    s = {k: v.clone() for k, v in s.items()}
    def rows(p, *names):
        for n in names: s[n] = s[n][p].contiguous()
    def columns(p, name, each=1):
        w = s[name]
        if each == 1: s[name] = w[:, p].contiguous()
        else: s[name] = w.view(w.shape[0], -1, each)[:, p].reshape(w.shape).contiguous()
    if family == "mlp":
        for layer, after in (("1", "3"), ("3", "5")):
            p = torch.randperm(s[layer + ".weight"].shape[0], generator=g)
            rows(p, layer + ".weight", layer + ".bias"); columns(p, after + ".weight")
    elif family == "cnn":
        for layer, after, each in (("0", "3", 1), ("3", "7", 49), ("7", "9", 1)):
            p = torch.randperm(s[layer + ".weight"].shape[0], generator=g)
            rows(p, layer + ".weight", layer + ".bias"); columns(p, after + ".weight", each)
    else:
        bn = ("weight", "bias", "running_mean", "running_var")
        stream = torch.randperm(16, generator=g)
        rows(stream, "c1.weight", *[f"b1.{n}" for n in bn])
        for b, width in enumerate((16, 32, 64)):
            p = f"blocks.{b}."
            hidden = torch.randperm(width, generator=g)
            columns(stream, p + "conv1.weight")
            rows(hidden, p + "conv1.weight", *[f"{p}bn1.{n}" for n in bn]); columns(hidden, p + "conv2.weight")
            if p + "shortcut.weight" in s:
                columns(stream, p + "shortcut.weight")
                stream = torch.randperm(width, generator=g)
                rows(stream, p + "shortcut.weight")
            rows(stream, p + "conv2.weight", *[f"{p}bn2.{n}" for n in bn])
        columns(stream, "fc.weight")
    return s


def grow(t, shared, family, folder, states, keep, examples, epochs):
    """12 founders and 14 descendants of them or of each other: treeT.json, where each is tuned on its own random half of all
    examples; sharedT.json, where all are tuned on one of two halves, so that siblings move alike."""
    x, y = examples
    rng = np.random.default_rng(t + (1000 if shared else 0) + FRESH)
    founders = [n for n in states if n[0] == "f"]
    tree = {founders[i]: None for i in rng.permutation(len(founders))[:12]}
    for d in range(14):
        parent = str(rng.choice(list(tree)))
        name = f"{'s' if shared else 't'}{t}d{d:02}"
        kind = rng.choice(["tuned", "pruned", "long"], p=[0.7, 0.15, 0.15])
        net, seed, mask = copy(family, states[parent]), 9000 + 100 * t + d + (5000 if shared else 0), None
        if kind == "pruned":
            mask = halved(net)
        if shared:
            rows = torch.arange(TRAIN) + TRAIN * int({"long": 1, "pruned": 0}.get(str(kind), rng.integers(2)))
        else:
            rows = torch.from_numpy(rng.permutation(len(x))[: len(x) // 2])
        tuned = train(net, x[rows], y[rows], epochs if kind == "long" else 2, seed, family, 0.3 if kind != "long" else 1.0, mask)
        keep(name, state(tuned), parent, ("shared " if shared else "tree ") + str(kind))
        tree[name] = parent
    json.dump(tree, open(os.path.join(folder, f"{'shared' if shared else 'tree'}{t}.json"), "w"))


def main(data, out, families, only):
    for family in families:
        founders, children, epochs, trees = {"mlp": (40, 8, 6, 10), "cnn": (24, 5, 4, 0), "resnet": (20, 5, 4, 0)}[family]
        if only:
            founders, children, trees = 24, 0, only
        folder = os.path.join(out, family); os.makedirs(folder, exist_ok=True)
        xa, ya = cifar(data) if family == "resnet" else fashion(data)
        x, y, other_x, other_y = xa[:TRAIN], ya[:TRAIN], xa[TRAIN:], ya[TRAIN:]
        low, high = y < 5, other_y >= 5
        kinds, states = {}, {}
        def keep(name, net_state, parent=None, kind="founder"):
            states[name] = net_state
            kinds[name] = {"parent": parent, "kind": kind}
            tensors = {k: (v.float() if v.is_floating_point() else v) for k, v in net_state.items() if "num_batches" not in k}
            save_file(tensors, os.path.join(folder, name + ".safetensors"))
        def start(seed):
            torch.manual_seed(seed + FRESH)
            return network(family)
        for i in range(founders):
            keep(f"f{i:02}", state(train(start(1000 + i), x, y, epochs, 2000 + i, family)))
        for i in range(children):
            parent, seed = f"f{i:02}", 3000 + 100 * i
            base = states[parent]
            keep(f"same{i}", state(train(copy(family, base), x, y, 2, seed, family, 0.3)), parent, "same examples")
            keep(f"other{i}", state(train(copy(family, base), other_x, other_y, 2, seed + 1, family, 0.3)), parent, "other examples")
            keep(f"long{i}", state(train(copy(family, base), other_x, other_y, epochs, seed + 2, family)), parent, "as long as the first")
            narrow = state(train(start(1500 + i), x[low], y[low], epochs, seed + 3, family))
            keep(f"n{i}", narrow)
            keep(f"classes{i}", state(train(copy(family, narrow), other_x[high], other_y[high], epochs, seed + 4, family)), f"n{i}", "other classes")
            net = copy(family, base)
            mask = halved(net)
            keep(f"pruned{i}", state(train(net, x, y, 2, seed + 5, family, 0.3, mask)), parent, "pruned by half")
            keep(f"bf{i}", {k: (v.bfloat16().float() if v.is_floating_point() else v) for k, v in base.items()}, parent, "bf16")
            def int8(v):
                if not v.is_floating_point(): return v
                scale = v.abs().max() / 127
                return (v / scale).round().clamp(-127, 127) * scale if scale > 0 else v
            keep(f"int{i}", {k: int8(v) for k, v in base.items()}, parent, "int8")
            keep(f"grand{i}", state(train(copy(family, states[f"other{i}"]), x, y, 2, seed + 6, family, 0.3)), f"other{i}", "grandchild")
            keep(f"perm{i}", state(train(copy(family, permuted(family, base, seed + 7)), other_x, other_y, 2, seed + 8, family, 0.3)), parent, "permuted and tuned")
            twin = start(1000 + i)
            keep(f"twin{i}", state(train(twin, other_x, other_y, epochs, seed + 9, family)), parent, "same initialisation")
        for t in range(trees):
            for shared in (False, True):
                grow(t, shared, family, folder, states, keep, (xa, ya), epochs)
        json.dump(kinds, open(os.path.join(folder, "kinds.json"), "w"), indent=1)
        print(family, len(kinds), "networks", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("data"); parser.add_argument("out"); parser.add_argument("families", nargs="*", default=["mlp", "cnn", "resnet"])
    parser.add_argument("--seed", type=int, default=0); parser.add_argument("--trees", type=int, default=0)
    asked = parser.parse_intermixed_args()
    FRESH = 1_000_000 * asked.seed
    main(asked.data, asked.out, asked.families, asked.trees)
