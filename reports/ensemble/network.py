"""The network as PyTorch: Network().load_state_dict(safetensors.torch.load_file("weights.safetensors"))."""

import torch
from torch import nn
from torch.nn import functional as F


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.put("c1", nn.Conv2d(1, 16, 3, padding=1, bias=False))
        self.put("b1", nn.BatchNorm2d(16))
        self.put("2", nn.ReLU())
        self.put("3", nn.MaxPool2d(2))
        self.put("c2", nn.Conv2d(16, 32, 3, padding=1, bias=False))
        self.put("b2", nn.BatchNorm2d(32))
        self.put("6", nn.ReLU())
        self.put("7", nn.MaxPool2d(2))
        self.put("fc", nn.Linear(128, 10))

    def put(self, name, part):
        module = self
        *path, last = name.split(".")
        for step in path:
            if step not in module._modules:
                module.add_module(step, nn.Module())
            module = module._modules[step]
        if isinstance(part, nn.Parameter):
            module.register_parameter(last, part)
        else:
            module.add_module(last, part)

    def at(self, name):
        part = self
        for step in name.split("."):
            part = part._modules[step] if step in part._modules else part._parameters[step]
        return part

    def forward(self, x):
        x = self.at("c1")(x)
        x = self.at("b1")(x)
        x = self.at("2")(x)
        x = self.at("3")(x)
        x = self.at("c2")(x)
        x = self.at("b2")(x)
        x = self.at("6")(x)
        x = self.at("7")(x)
        x = x.flatten(1)
        x = self.at("fc")(x)
        return x
