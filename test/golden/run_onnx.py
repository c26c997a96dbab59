#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs ONNX files with ONNX Runtime: what this package writes must mean there what it means here.

  python3 test/golden/run_onnx.py MODEL.onnx INPUT.f32 OUTPUT.f32 HEIGHTxWIDTH [MODEL INPUT OUTPUT SIZE]...

Inputs are raw little-endian float32, NCHW, one image or more of 3 channels. PyPI: onnxruntime.
"""
import sys

import numpy
import onnxruntime


def main(arguments):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for i in range(0, len(arguments), 4):
        model, source, target, size = arguments[i:i + 4]
        height, width = (int(n) for n in size.split("x"))
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        images = numpy.fromfile(source, "<f4").reshape(-1, 3, height, width)
        (logits,) = session.run(None, {session.get_inputs()[0].name: images})
        logits.astype("<f4").tofile(target)


if __name__ == "__main__":
    main(sys.argv[1:])
