#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes torchvision's EfficientNet with random weights twice, as NAME.pth and NAME.onnx, to race on
another exporter's graph: `bench --peers --weights NAME.pth --onnx NAME.onnx`. Not part of the package.

Needs PyTorch and torchvision (Debian: python3-torch python3-torchvision).

  python3 bench/export_onnx.py b0 OUTPUT_FOLDER [--size 224] [--seed 1]
"""
import argparse
import os

import torch
import torchvision


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="b0 to b7")
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    model = getattr(torchvision.models, f"efficientnet_{args.name}")().eval()
    # Fresh statistics (mean 0, variance 1) would hide a mistake in folding them.
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            torch.nn.init.uniform_(module.bias, -0.1, 0.1)
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.7, 1.3)

    os.makedirs(args.folder, exist_ok=True)
    base = os.path.join(args.folder, args.name)
    torch.save(model.state_dict(), base + ".pth")
    torch.onnx.export(model, torch.zeros(1, 3, args.size, args.size), base + ".onnx", opset_version=13)
    print(f"{base}.pth\n{base}.onnx")


main()
