"""Embeddings of CIFAR-10 images and of altered copies, by a small network trained here: python embed.py DATA OUT

The network learns 10,000 images for a few epochs; embeddings are its last hidden activations (64 numbers) of other images.
OUT/plain.npy and OUT/plain_labels.npy hold 20,000 of them, OUT/KIND_STRENGTH.npy the same images altered.
"""
import os, sys
import numpy as np, torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
STRENGTHS = {"blur": [0.2, 0.3, 0.4, 0.6], "noise": [0.02, 0.05, 0.1, 0.2], "levels": [32, 16, 8, 5]}


def batch(folder, number):
    raw = np.fromfile(os.path.join(folder, "cifar-10-batches-bin", f"data_batch_{number}.bin"), np.uint8).reshape(-1, 3073)
    return torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255), torch.from_numpy(raw[:, 0].astype(np.int64))


def altered(x, kind, strength, generator):
    if kind == "blur":
        reach = torch.arange(-2, 3, dtype=torch.float32)
        line = torch.exp(-reach ** 2 / (2 * strength ** 2)); line /= line.sum()
        kernel = (line[:, None] * line[None]).expand(3, 1, 5, 5)
        return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, groups=3)
    if kind == "noise":
        return (x + strength * torch.randn(x.shape, generator=generator)).clamp(0, 1)
    return (x * strength).round() / strength


def main(data, out):
    os.makedirs(out, exist_ok=True)
    torch.manual_seed(0)
    x, y = batch(data, 1)
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    body = nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1), nn.ReLU(), nn.Conv2d(24, 48, 3, 2, 1), nn.ReLU(), nn.Conv2d(48, 64, 3, 2, 1), nn.ReLU(),
                         nn.Flatten(), nn.Linear(64 * 16, 64), nn.ReLU())
    head = nn.Linear(64, 10)
    net = nn.Sequential(body, head)
    opt = torch.optim.Adam(net.parameters(), 1e-3)
    for epoch in range(6):
        for rows in torch.randperm(len(x)).split(64):
            loss = F.cross_entropy(net((x[rows] - mean) / std), y[rows])
            opt.zero_grad(); loss.backward(); opt.step()
        print(epoch, loss.item(), flush=True)
    pool = [batch(data, i) for i in (2, 3)]
    x, y = torch.cat([p[0] for p in pool]), torch.cat([p[1] for p in pool])
    with torch.no_grad():
        embed = lambda x: torch.cat([body((part - mean) / std) for part in x.split(500)]).numpy()
        plain = embed(x)
        np.save(os.path.join(out, "plain.npy"), plain)
        np.save(os.path.join(out, "plain_labels.npy"), y.numpy())
        np.save(os.path.join(out, "images.npy"), (x[:5000] * 255).byte().numpy())
        print("held-out accuracy", (net((x[:2000] - mean) / std).argmax(1) == y[:2000]).float().mean().item())
        for kind, strengths in STRENGTHS.items():
            for strength in strengths:
                g = torch.Generator().manual_seed(1)
                changed = altered(x, kind, strength, g)
                np.save(os.path.join(out, f"{kind}_{strength}.npy"), embed(changed))
                if strength == strengths[-1]:
                    np.save(os.path.join(out, f"{kind}_images.npy"), (changed[10000:15000] * 255).byte().numpy())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
