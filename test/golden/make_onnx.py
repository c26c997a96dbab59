#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX files of random networks as PyTorch exports them, for comparing against PyTorch.

For each case: NAME.onnx, NAME.input.f32 and NAME.logits.f32 (raw little-endian float32, NCHW, a batch
of 2) and NAME.json, which says what they are. Weights and statistics are random as in
make_networks.py. Nothing is downloaded.

  python3 test/golden/make_onnx.py --out build/onnx torchvision:efficientnet_b0:64x64:folded \
      timm:tf_efficientnet_b0:65x96:unfolded timm:tf_efficientnet_b0:64x64:dynamic

The last part says how batch norms are exported: 'folded' into convolutions, or 'unfolded'; or 'dynamic',
folded with batch, height and width left open, and then the logits are for another size too.

Debian: apt-get install python3-torch python3-torchvision; timm 1.0 from PyPI (without its dependencies).
"""
import argparse
import json
import os
import warnings

from make_networks import randomise

CLASSES = 17


def create(source, model):
    if source == "torchvision":
        import torchvision
        return getattr(torchvision.models, model)(num_classes=CLASSES)
    import timm
    return timm.create_model(model, num_classes=CLASSES, exportable=True)


def make(folder, case, seed):
    import torch
    source, model, size, kind = case.split(":")
    height, width = (int(n) for n in size.split("x"))
    torch.manual_seed(seed)
    network = create(source, model)
    # Statistics of a few pixels would make a network that turns rounding into noise.
    randomise(network, (160, 160))
    stem = os.path.join(folder, case.replace(":", "_"))
    options = {"opset_version": 13, "input_names": ["image"], "output_names": ["scores"]}
    if kind == "unfolded":
        options.update(do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)
    if kind == "dynamic":
        options.update(dynamic_axes={"image": {0: "batch", 2: "height", 3: "width"}, "scores": {0: "batch"}})
    torch.onnx.export(network, torch.zeros(1, 3, height, width), stem + ".onnx", **options)
    if kind == "dynamic":
        height, width = height + 33, width + 14
    images = torch.randn(2, 3, height, width)
    # In double precision: small maps of random networks lose four digits to rounding alone.
    logits = network.double()(images.double()).float()
    images.numpy().astype("<f4").tofile(stem + ".input.f32")
    logits.numpy().astype("<f4").tofile(stem + ".logits.f32")
    with open(stem + ".json", "w") as file:
        json.dump({"source": source, "model": model, "kind": kind, "seed": seed, "height": height, "width": width,
                   "classes": CLASSES, "torch": torch.__version__}, file)
    print(f"{stem}: largest logit {logits.abs().max().item():.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="a directory, made if missing; outside the repository or under build/")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("cases", nargs="+", metavar="SOURCE:MODEL:HEIGHTxWIDTH:KIND")
    arguments = parser.parse_args()
    import torch
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    # The tracer warns of every size that it takes as fixed, which is what is asked for.
    warnings.simplefilter("ignore")
    os.makedirs(arguments.out, exist_ok=True)
    for case in arguments.cases:
        make(arguments.out, case, arguments.seed)


if __name__ == "__main__":
    main()
