#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random EfficientNets from torchvision and timm, for comparing against PyTorch.

For each seed: NAME.pth (a state dict), and for each size NAME.HxW.input.f32 and NAME.HxW.logits.f32,
raw little-endian float32, NCHW, batch of 2; NAME.json says what they are. Weights, batch-norm scales and shifts are random; the
statistics are measured on random images and then disturbed, so that activations stay in range and no
layer is the identity. Nothing is downloaded.

With --names FILE it writes only the tensor names and shapes of each source instead
(test/golden/b0-tensors.json was made so, with torchvision 0.14 and timm 0.9.16).

  python3 test/golden/make_torchvision.py --out build/torchvision --seeds 1 2 --sizes 224x224 225x289

Debian: apt-get install python3-torch python3-torchvision. timm is used where it is installed.
"""
import argparse
import json
import os
import sys


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="a directory, made if missing; outside the repository or under build/")
    parser.add_argument("--names", help="write names and shapes of B0's tensors to this file and stop")
    parser.add_argument("--source", choices=["torchvision", "timm", "tf"], default="torchvision",
                        help="tf: timm's tf_ networks (SAME padding, epsilon 1e-3)")
    parser.add_argument("--model", default="b0", help="b0 to b7")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--sizes", nargs="+", default=["224x224"], help="HEIGHTxWIDTH")
    parser.add_argument("--classes", type=int, default=1000)
    return parser.parse_args()


def create(source, model, classes):
    if source == "torchvision":
        import torchvision
        return getattr(torchvision.models, "efficientnet_" + model)(num_classes=classes)
    import timm
    prefix = "tf_efficientnet_" if source == "tf" else "efficientnet_"
    return timm.create_model(prefix + model, num_classes=classes)


def randomise(network, size):
    import torch
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.normal_(norm.bias, 0, 0.2)
        norm.momentum = None  # the plain mean of what it sees
    for module in network.modules():
        # The libraries begin with zero biases, which would hide a bias that is not applied.
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) and module.bias is not None:
            torch.nn.init.normal_(module.bias, 0, 0.2)
    network.train()
    network(torch.randn(4, 3, *size))
    network.eval()
    for norm in norms:
        norm.running_mean += 0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.7, 1.4)


def make(arguments):
    import torch
    os.makedirs(arguments.out, exist_ok=True)
    sizes = [tuple(int(n) for n in size.split("x")) for size in arguments.sizes]
    for seed in arguments.seeds:
        torch.manual_seed(seed)
        network = create(arguments.source, arguments.model, arguments.classes)
        randomise(network, sizes[0])
        name = os.path.join(arguments.out, f"{arguments.source}_{arguments.model}_s{seed}")
        torch.save(network.state_dict(), name + ".pth")
        for height, width in sizes:
            images = torch.randn(2, 3, height, width)
            logits = network(images)
            stem = f"{name}.{height}x{width}"
            images.numpy().astype("<f4").tofile(stem + ".input.f32")
            logits.numpy().astype("<f4").tofile(stem + ".logits.f32")
            print(f"{stem}: largest logit {logits.abs().max().item():.3f}")
        with open(name + ".json", "w") as file:
            json.dump({"source": arguments.source, "model": arguments.model, "seed": seed, "batch": 2,
                       "classes": arguments.classes, "sizes": sizes, "torch": torch.__version__}, file)


def write_names(path):
    names = {}
    for source in ("torchvision", "timm"):
        tensors = create(source, "b0", 1000).state_dict()
        names[source] = {key: list(value.shape) for key, value in tensors.items()}
    with open(path, "w") as file:
        file.write("{\n")
        for i, (source, tensors) in enumerate(names.items()):
            lines = [f"    {json.dumps(key)}: {json.dumps(shape)}" for key, shape in tensors.items()]
            file.write(f"  {json.dumps(source)}: {{\n" + ",\n".join(lines) + "\n  }" + ("," if i == 0 else "") + "\n")
        file.write("}\n")


def main():
    arguments = parse()
    import torch
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    if arguments.names:
        write_names(arguments.names)
    elif arguments.out:
        make(arguments)
    else:
        sys.exit("give --out DIRECTORY or --names FILE")


if __name__ == "__main__":
    main()
