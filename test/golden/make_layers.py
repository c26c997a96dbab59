# SPDX-License-Identifier: Apache-2.0
# Writes layers.json: for each convolution and dense layer of some torchvision networks, in the order of
# execution, the shape of its output as a forward hook sees it, its stride, and its receptive field as
# the gradient shows it: the rows of a tall picture on which one value in the middle depends. For that
# the excite layers and activations are taken out, and all weights are positive, so that nothing cancels.
# Needs torch and torchvision (made with 1.13 and 0.14):
#   python3 test/golden/make_layers.py
import json
import pathlib

import torch
import torchvision.models as models
from torch import nn
from torchvision.ops import SqueezeExcitation

# Our name, torchvision's, height and width.
NETWORKS = [
    ("b0", "efficientnet_b0", 224, 224),
    ("b3", "efficientnet_b3", 225, 289),
    ("v2-s", "efficientnet_v2_s", 225, 289),
    ("mobilenetv2-100", "mobilenet_v2", 224, 224),
    ("mobilenetv3-large", "mobilenet_v3_large", 225, 289),
    ("mobilenetv3-small", "mobilenet_v3_small", 224, 224),
    ("mnasnet-b1", "mnasnet1_0", 224, 224),
]
# Taller than any receptive field here, so that the borders are not met.
ROWS = 4096


def outputs(model, height, width):
    found = []

    def hook(module, _, output):
        shape = list(output.shape[1:])
        found.append((module, shape + [1] * (3 - len(shape)), output))

    handles = [m.register_forward_hook(hook) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    picture = torch.zeros(1, 3, height, width, requires_grad=True)
    model(picture)
    for handle in handles:
        handle.remove()
    return picture, found


def simplify(module):
    for name, child in module.named_children():
        if isinstance(child, (SqueezeExcitation, nn.SiLU, nn.ReLU, nn.ReLU6, nn.Hardswish)):
            setattr(module, name, nn.Identity())
        else:
            simplify(child)


def fields(model):
    simplify(model)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                # A picture of one column meets the middle column of each kernel: its sum is to stay 1.
                module.weight.fill_(module.kernel_size[1] / module.weight[0].numel())
    picture, found = outputs(model, ROWS, 1)
    result = {}
    last = [module for module, _, _ in found if isinstance(module, nn.Conv2d)][-1]
    for module, shape, output in found:
        if isinstance(module, nn.Linear):
            continue
        # A kernel of one pixel sees what is before it, so that only the last of these is looked at.
        if module.kernel_size == (1, 1) and module is not last:
            result[module] = 0
            continue
        value = output[0, :, shape[1] // 2, 0].sum()
        (gradient,) = torch.autograd.grad(value, picture, retain_graph=True)
        result[module] = int((gradient[0].abs().sum((0, 2)) > 0).sum())
    return result


def main():
    table = []
    for ours, theirs, height, width in NETWORKS:
        model = getattr(models, theirs)(weights=None).eval()
        _, found = outputs(model, height, width)
        found = [(module, shape, module.stride[0] if isinstance(module, nn.Conv2d) else 1) for module, shape, _ in found]
        seen = fields(model)
        # Output, stride, receptive field: null where the layer sees the mean of the picture, 0 where not looked at.
        layers = [[*shape, stride, seen.get(module)] for module, shape, stride in found]
        table.append({"network": ours, "height": height, "width": width, "layers": layers})
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in table)
    pathlib.Path(__file__).with_name("layers.json").write_text(f"[\n{lines}\n]\n")


main()
