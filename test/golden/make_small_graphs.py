#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small networks with blocks of every kind as PyTorch and TensorFlow themselves write them: ONNX files
(folded and not, hard activations in parts) and TensorFlow Lite files (float32, float16, int8). With
them small-graphs.json: what each computes of the image sin(0.37 i) of 32 x 32, counted in its own order.

  python3 test/golden/make_small_graphs.py onnx    # Debian: python3-torch
  python3 test/golden/make_small_graphs.py tflite  # PyPI: tensorflow (2.21)

Made with torch 1.13.0 and tensorflow 2.21.0.
"""
import json
import os
import sys

import numpy

FOLDER = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(FOLDER, "small-graphs.json")
SIDE = 32
# kind, out, stride, kernel, expansion, squeeze
BLOCKS = [
    ("mbconv", 6, 1, 3, 1, 2), ("conv", 6, 1, 3, 1, 0), ("fused", 8, 2, 3, 2, 0), ("fused", 8, 1, 3, 2, 0),
    ("mbconv", 10, 2, 5, 2, 3), ("mbconv", 10, 1, 3, 2, 3), ("mbconv", 10, 1, 3, 2, 0),
]


def record(name, image, logits):
    results = json.load(open(RESULTS)) if os.path.exists(RESULTS) else {}
    results[name] = [float(f"{value:.7g}") for value in numpy.ravel(logits)]
    with open(RESULTS, "w") as file:
        file.write(json.dumps(dict(sorted(results.items()))).replace("], ", "],\n ") + "\n")
    print(name, os.path.getsize(os.path.join(FOLDER, name)), results[name])


def image(shape):
    return numpy.sin(0.37 * numpy.arange(numpy.prod(shape))).astype("float32").reshape(shape)


# ---- PyTorch -------------------------------------------------------------------------------------------

def torch_network(act, squeeze_act, gate, hidden):
    import torch
    from torch import nn

    def conv(inside, out, kernel=1, stride=1, groups=1, act=None):
        layers = [nn.Conv2d(inside, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out, eps=1e-3)]
        return nn.Sequential(*layers, *([act()] if act else []))

    class Excite(nn.Module):
        def __init__(self, channels, squeeze):
            super().__init__()
            self.reduce, self.expand = nn.Conv2d(channels, squeeze, 1), nn.Conv2d(squeeze, channels, 1)
            self.act, self.gate = squeeze_act(), gate()

        def forward(self, x):
            return x * self.gate(self.expand(self.act(self.reduce(x.mean((2, 3), keepdim=True)))))

    class Block(nn.Module):
        def __init__(self, inside, kind, out, stride, kernel, expansion, squeeze):
            super().__init__()
            wide = inside * expansion
            parts = []
            if kind == "conv":
                parts = [conv(inside, out, kernel, stride, act=act)]
            elif kind == "fused":
                parts = [conv(inside, wide, kernel, stride, act=act), conv(wide, out)]
            else:
                if expansion > 1:
                    parts.append(conv(inside, wide, act=act))
                parts.append(conv(wide, wide, kernel, stride, wide, act))
                if squeeze:
                    parts.append(Excite(wide, squeeze))
                parts.append(conv(wide, out))
            self.body, self.residual = nn.Sequential(*parts), stride == 1 and inside == out

        def forward(self, x):
            return self.body(x) + x if self.residual else self.body(x)

    channels, blocks = 6, []
    for block in BLOCKS:
        blocks.append(Block(channels, *block))
        channels = block[1]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(1)]
    head += [nn.Linear(12, 7), hidden(), nn.Linear(7, 5)] if hidden else [nn.Linear(12, 5)]
    return nn.Sequential(conv(3, 6, 3, 2, act=act), *blocks, conv(channels, 12, act=act), *head)


def make_onnx():
    import torch
    from torch import nn
    from make_networks import randomise
    torch.set_grad_enabled(False)
    cases = {
        "small.onnx": ((nn.SiLU, nn.SiLU, nn.Sigmoid, None), {"opset_version": 13}),
        "small-unfolded.onnx": ((nn.SiLU, nn.SiLU, nn.Sigmoid, None), {
            "opset_version": 13, "do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}),
        # Below opset 14 hard swish is written in parts.
        "small-hard.onnx": ((nn.Hardswish, nn.ReLU, nn.Hardsigmoid, nn.Hardswish), {"opset_version": 13}),
        "small-hard-ops.onnx": ((nn.Hardswish, nn.ReLU6, nn.Hardsigmoid, nn.ReLU6), {"opset_version": 16}),
    }
    for name, (activations, options) in cases.items():
        torch.manual_seed(4)
        network = torch_network(*activations)
        randomise(network, (96, 96))
        pixels = torch.from_numpy(image((1, 3, SIDE, SIDE)))
        torch.onnx.export(network, pixels, os.path.join(FOLDER, name), input_names=["image"], output_names=["scores"], **options)
        record(name, pixels, network.double()(pixels.double()).numpy())


# ---- TensorFlow ----------------------------------------------------------------------------------------

def keras_network(activation, normalise):
    import tensorflow as tf
    layers = tf.keras.layers
    act = {"swish": tf.nn.silu, "hard-swish": lambda x: x * tf.nn.relu6(x + 3.0) * (1.0 / 6.0), "relu6": tf.nn.relu6}[activation]
    gate = (lambda x: tf.nn.relu6(x + 3.0) * (1.0 / 6.0)) if activation == "hard-swish" else tf.nn.sigmoid

    def norm(x):
        return layers.BatchNormalization(
            gamma_initializer=tf.keras.initializers.RandomUniform(0.6, 1.4), beta_initializer=tf.keras.initializers.RandomNormal(stddev=0.2),
            moving_mean_initializer=tf.keras.initializers.RandomNormal(stddev=0.1),
            moving_variance_initializer=tf.keras.initializers.RandomUniform(0.3, 0.9))(x)

    def conv(x, out, kernel=1, stride=1, act=None):
        x = norm(layers.Conv2D(out, kernel, stride, "same", use_bias=False)(x))
        return layers.Activation(act)(x) if act else x

    pixels = x = layers.Input((SIDE, SIDE, 3), batch_size=1)
    if normalise:
        x = layers.Normalization(mean=[0.485 * 255, 0.456 * 255, 0.406 * 255], variance=[(0.229 * 255) ** 2, (0.224 * 255) ** 2, (0.225 * 255) ** 2])(x)
    x = conv(x, 6, 3, 2, act)
    for kind, out, stride, kernel, expansion, squeeze in BLOCKS:
        start, inside = x, x.shape[-1]
        wide = inside * expansion
        if kind == "conv":
            x = conv(x, out, kernel, stride, act)
        elif kind == "fused":
            x = conv(conv(x, wide, kernel, stride, act), out)
        else:
            if expansion > 1:
                x = conv(x, wide, act=act)
            x = layers.Activation(act)(norm(layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False)(x)))
            if squeeze:
                y = layers.GlobalAveragePooling2D(keepdims=True)(x)
                y = layers.Conv2D(squeeze, 1, activation=act, bias_initializer="random_normal")(y)
                y = layers.Conv2D(wide, 1, activation=gate, bias_initializer="random_normal")(y)
                x = layers.Multiply()([x, y])
            x = conv(x, out)
        if stride == 1 and inside == out:
            x = layers.Add()([x, start])
    x = layers.GlobalAveragePooling2D()(conv(x, 12, act=act))
    if activation == "hard-swish":
        x = layers.Dense(7, activation=act, bias_initializer="random_normal")(x)
    return tf.keras.Model(pixels, layers.Dense(5, bias_initializer="random_normal")(x))


def make_tflite():
    import tensorflow as tf
    cases = {
        "small.tflite": ("swish", False, None), "small-normalised.tflite": ("relu6", True, None),
        "small-hard.tflite": ("hard-swish", False, None), "small-f16.tflite": ("swish", False, tf.float16), "small-int8.tflite": ("relu6", False, tf.int8),
    }
    for name, (activation, normalise, kind) in cases.items():
        tf.keras.utils.set_random_seed(4)
        network = keras_network(activation, normalise)
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        if kind is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind == tf.float16:
            converter.target_spec.supported_types = [tf.float16]
        if kind == tf.int8:
            converter.representative_dataset = lambda: ([image((1, SIDE, SIDE, 3))] for _ in range(4))
        data = converter.convert()
        with open(os.path.join(FOLDER, name), "wb") as file:
            file.write(data)
        interpreter = tf.lite.Interpreter(model_content=data)
        interpreter.allocate_tensors()
        pixels = image((1, SIDE, SIDE, 3))
        # What the network sees after its own normalisation is the image.
        given = pixels * numpy.float32([58.395, 57.12, 57.375]) + numpy.float32([123.675, 116.28, 103.53]) if normalise else pixels
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given)
        interpreter.invoke()
        record(name, pixels, interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


if __name__ == "__main__":
    {"onnx": make_onnx, "tflite": make_tflite}[sys.argv[1]]()
