#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes small.pth and small-old.pth beside itself: what torch.save makes of every element type, of
strided, shared, empty and rank-0 tensors, of a parameter, and of the wrapping that training scripts
add; the same in the format from before PyTorch 1.6. Made with Debian's torch 1.13. Tests expect these values.
"""
import collections
import os

import torch

folder = os.path.dirname(os.path.abspath(__file__))
grid = torch.arange(24, dtype=torch.float32)
weights = collections.OrderedDict([
    ("module.f32", grid.reshape(2, 3, 4)),
    ("module.transposed", grid.reshape(4, 6).t()),
    ("module.channels_last", grid.reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)),
    ("module.slice", grid[5:9]),
    ("module.column", grid.reshape(4, 6)[:, 2]),
    ("module.pointwise", grid.reshape(6, 4, 1, 1).contiguous(memory_format=torch.channels_last)),
    ("module.f64", torch.arange(6, dtype=torch.float64).reshape(2, 3).t()),
    ("module.f16", torch.tensor([1.0, -2.0], dtype=torch.float16)),
    ("module.bf16", torch.tensor([1.0, -2.0], dtype=torch.bfloat16)),
    ("module.i64", torch.tensor(-(2 ** 40))),
    ("module.i32", torch.tensor([-7], dtype=torch.int32)),
    ("module.i16", torch.tensor([-7], dtype=torch.int16)),
    ("module.i8", torch.tensor([-7], dtype=torch.int8)),
    ("module.u8", torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8).t()),
    ("module.bool", torch.tensor([True, False])),
    ("module.empty", torch.empty(0, 5)),
    ("module.parameter", torch.nn.Parameter(torch.tensor([0.5]), requires_grad=True)),
])
checkpoint = {"epoch": 3, "loss": 0.25, "note": "é", "best": None, "seen": 2 ** 40, "flags": (True, [1, 2, 300, 70000, -1]),
              "state_dict": weights, "optimizer": {"state": {0: {"step": 1}}, "param_groups": []}}
torch.save(checkpoint, os.path.join(folder, "small.pth"))
torch.save(checkpoint, os.path.join(folder, "small-old.pth"), _use_new_zipfile_serialization=False)
