"""The reference networks in PyTorch, for 3x32x32 inputs, and safetensors without its package."""
import json
import struct

import torch
import torch.nn as nn
import torch.nn.functional as F


class Cnn(nn.Module):
    """Two 3x3 convolutions of 32 and 64 channels, each with ReLU and 2x2 max pooling, then a dense layer."""

    def __init__(self, outputs):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
        self.fc = nn.Linear(64 * 8 * 8, outputs)

    def forward(self, x):
        for conv in (self.c1, self.c2):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        return self.fc(x.flatten(1))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.c1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.b1 = nn.BatchNorm2d(outputs)
        self.c2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.b2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.sc = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x):
        y = F.relu(self.b1(self.c1(x)))
        return F.relu(self.b2(self.c2(y)) + (x if self.sc is None else self.sc(x)))


class ResNet20(nn.Module):
    """A convolution and nine blocks of two, of 16, 32 and 64 channels, with batch norms, then mean and a dense layer."""

    def __init__(self, outputs):
        super().__init__()
        self.c, self.b = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        pairs = list(zip(widths, widths[1:]))
        self.blocks = nn.Sequential(*(Block(a, b, 1 if a == b else 2) for a, b in pairs))
        self.fc = nn.Linear(64, outputs)

    def forward(self, x):
        return self.fc(self.blocks(F.relu(self.b(self.c(x)))).mean((2, 3)))


def mlp(outputs):
    layers = [nn.Linear(3072, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, outputs)]
    return nn.Sequential(nn.Flatten(), *layers)


class VitBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp, self.heads = nn.Module(), nn.Module(), heads
        self.attn.qkv, self.attn.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        parts = self.attn.qkv(self.norm1(x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.attn.proj(y)
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


class Vit(nn.Module):
    """Patches of 4x4, a class token, learned positions, four blocks of width 64 with four heads."""

    def __init__(self, outputs, width=64, depth=4, heads=4):
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, width, 4, 4)
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 65, width))
        self.blocks = nn.ModuleList(VitBlock(width, heads) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, outputs)

    def forward(self, x):
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


def depthwise(outputs):
    """Depthwise and grouped convolutions with group norms and overlapping pools: by numbers, as the program reads a list of layers."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, 1, 1), nn.GroupNorm(4, 32), nn.SiLU(),
        nn.Conv2d(32, 32, 3, 1, 1, groups=32), nn.GroupNorm(4, 32), nn.ReLU6(), nn.Conv2d(32, 64, 1), nn.ReLU6(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(64, 64, 5, 1, 2, groups=64), nn.GroupNorm(8, 64), nn.ReLU6(), nn.Conv2d(64, 64, 1, groups=4), nn.ReLU6(), nn.MaxPool2d(3, 2, 1),
        nn.Flatten(), nn.Linear(4096, outputs),
    )


NETWORKS = {"mlp": mlp, "cnn": Cnn, "resnet20": ResNet20, "vit": Vit, "depthwise": depthwise}
# The same as the program reads them.
MODELS = {
    "mlp": '[model]\nkind = "mlp"\nwidths = [512, 512]\n',
    "cnn": '[model]\nkind = "cnn"\nchannels = [32, 64]\n',
    "resnet20": '[model]\nkind = "resnet"\ndepth = 20\nwidth = 16\n',
    "vit": '[model]\nkind = "vit"\npatch = 4\nwidth = 64\ndepth = 4\nheads = 4\nmlp_ratio = 4\n',
    "depthwise": """[model]
kind = "layers"
layers = [
  { conv = 32, padding = 1 }, { group-norm = 4 }, "silu",
  { conv = 32, padding = 1, groups = "depthwise" }, { group-norm = 4 }, "relu6", { conv = 64, kernel = 1 }, "relu6", { max-pool = 3, stride = 2, padding = 1 },
  { conv = 64, kernel = 5, padding = 2, groups = "depthwise" }, { group-norm = 8 }, "relu6", { conv = 64, kernel = 1, groups = 4 }, "relu6", { max-pool = 3, stride = 2, padding = 1 },
  "flatten", { dense = "classes" },
]
""",
}


def save_safetensors(state, path):
    """What safetensors.torch.save_file does for a state_dict of float32 and int64."""
    header, data = {}, b""
    for name, tensor in state.items():
        raw = tensor.detach().numpy().tobytes()
        kind = {"torch.float32": "F32", "torch.int64": "I64"}[str(tensor.dtype)]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def load_safetensors(path):
    import numpy

    with open(path, "rb") as file:
        raw = file.read()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    data = raw[8 + length :]
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            arrays[name] = numpy.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    return arrays
