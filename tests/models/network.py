"""The network that `harness model show --torch` prints, beside the program: python torch.py MODULE.py WORK [--tokens]

WORK/ours.safetensors is what a sweep kept: the module loads it, and its logits of WORK/x.npy go to WORK/ours.npy. The weights
that PyTorch draws itself go to WORK/theirs.pt (WORK/theirs_legacy.pt in the format before zip), their logits to WORK/theirs.npy."""
import json
import os
import sys

import numpy as np
import torch
from safetensors.torch import load_file

module, work = sys.argv[1:3]
names = {}
exec(compile(open(module).read(), module, "exec"), names)
x = torch.from_numpy(np.load(os.path.join(work, "x.npy")))


def logits(net, name):
    with torch.no_grad():
        np.save(os.path.join(work, name), net.eval()(x).numpy())


ours = os.path.join(work, "ours.safetensors")
if os.path.exists(ours):
    net = names["Network"]()
    counters = {name: value for name, value in net.state_dict().items() if name.endswith("num_batches_tracked")}
    net.load_state_dict({**load_file(ours), **counters})
    logits(net, "ours.npy")
torch.manual_seed(1)
net = names["Network"]()
with torch.no_grad():
    for name, buffer in net.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    # Tokens and positions begin as zeros in the printed module.
    for parameter in net.parameters():
        if not parameter.any():
            parameter.normal_(0, 0.1)
torch.save(net.state_dict(), os.path.join(work, "theirs.pt"))
torch.save({"state_dict": net.state_dict()}, os.path.join(work, "theirs_legacy.pt"), _use_new_zipfile_serialization=False)
logits(net, "theirs.npy")
print(json.dumps({"parameters": sum(parameter.numel() for parameter in net.parameters())}))
