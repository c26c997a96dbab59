#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keras checkpoints of random EfficientNets in every container that Keras has written, with their logits.

Weights, batch-norm scales and shifts are random, the batch-norm statistics those of random images and
then disturbed, so that activations stay in range and no layer is the identity. ImageNet's mean and
deviation are stored as Keras stores them. Nothing is downloaded.

For each file index.json says which network it is and where input (pixels of 0 to 255, float32, NHWC)
and logits lie; raw little-endian float32.

  python3 test/golden/make_keras.py --out build/keras --models b0 b3 v2-s

Needs keras 3, h5py and tensorflow; tf_keras for the files of Keras 2.
"""
import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--out", required=True, help="a directory, made if missing; outside the repository or under build/")
parser.add_argument("--models", nargs="+", default=["b0", "b3", "v2-s"])
parser.add_argument("--seed", type=int, default=1)
arguments = parser.parse_args()
os.makedirs(arguments.out, exist_ok=True)

import keras
import tf_keras
from keras.src.applications import efficientnet as applications

MEAN = np.array([0.485, 0.456, 0.406], "f4")
STD = np.array([0.229, 0.224, 0.225], "f4")
NAMES = {"b0": "EfficientNetB0", "b3": "EfficientNetB3", "v2-b0": "EfficientNetV2B0", "v2-s": "EfficientNetV2S"}
index = []


def path(name):
    return os.path.join(arguments.out, name)


def randomise(model, rng, images):
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
            kernel = layer.get_weights()[0]
            fan = np.prod(kernel.shape[:2]) if kind == "DepthwiseConv2D" else np.prod(kernel.shape[:-1])
            values = [rng.normal(0, 1 / np.sqrt(fan), kernel.shape)]
            if layer.use_bias:
                values.append(rng.normal(0, 0.2, layer.get_weights()[1].shape))
            layer.set_weights(values)
        elif kind == "BatchNormalization":
            gamma, beta, _, _ = layer.get_weights()
            layer.set_weights([rng.uniform(0.5, 1.5, gamma.shape), rng.normal(0, 0.2, gamma.shape),
                               np.zeros_like(gamma), np.ones_like(gamma)])
            layer.momentum = 0.0
        elif kind == "Normalization" and layer.get_weights():
            values = layer.get_weights()
            # Keras' own weights hold the deviations where the variances should be.
            layer.set_weights([MEAN.reshape(values[0].shape), STD.reshape(values[1].shape)] + values[2:])
            layer.finalize_state()  # it keeps a copy, which set_weights leaves as it was
    model(images, training=True)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            gamma, beta, mean, variance = layer.get_weights()
            mean = mean + 0.1 * np.sqrt(variance) * rng.normal(size=mean.shape)
            layer.set_weights([gamma, beta, mean, variance * rng.uniform(0.7, 1.4, variance.shape)])
            layer.momentum = 0.99


def logits_of(library, model, images):
    """Before the softmax that Keras' models end in."""
    dense = [layer for layer in model.layers if type(layer).__name__ == "Dense"][-1]
    before = library.Model(model.input, dense.input)
    kernel, bias = dense.get_weights()
    return run(before, images).astype("f8") @ kernel.astype("f8") + bias


def run(model, images):
    """Not predict(), which first compiles the whole network, for longer than a few images take."""
    return np.asarray(model(images, training=False))


def record(file, architecture, images, logits, reading=None):
    base = file.replace(".", "-") + (f"-{reading}" if reading else "")
    images.astype("<f4").tofile(path(base + ".input.f32"))
    logits.astype("<f4").tofile(path(base + ".logits.f32"))
    index.append({"file": file, "architecture": architecture, "input": base + ".input.f32", "logits": base + ".logits.f32",
                  "images": images.shape[0], "height": images.shape[1], "width": images.shape[2], "classes": logits.shape[1],
                  **({"reading": reading} if reading else {})})
    print(file, reading or "", f"largest logit {np.abs(logits).max():.3f}", flush=True)


def create(library, name, **options):
    return getattr(library.applications, NAMES[name])(**options)


def published(name, weights):
    """The model as weights="imagenet" builds it: V1 gets the Rescaling by 1 / sqrt(std)."""
    applications.file_utils.get_file = lambda *_, **__: weights
    return create(keras, name, weights="imagenet")


def transfer(library, name, classes):
    """A backbone inside another model, as transfer learning builds it."""
    base = create(library, name, weights=None, include_top=False, pooling="avg", input_shape=(96, 128, 3))
    images = library.Input((96, 128, 3))
    outputs = library.layers.Dense(classes, activation="softmax", name="my_head")(library.layers.Dropout(0.2)(base(images)))
    return base, library.Model(images, outputs)


def save_all(library, model, name, architecture, images, logits, endings):
    for ending in endings:
        file = f"{name}{ending}"
        model.save_weights(path(file)) if "weights" in ending else model.save(path(file))
        record(file, architecture, images, logits)


def first_version(name, rng, every):
    """V1 by Keras 2, whose models have the square-root quirk, and by Keras 3, which makes up for it."""
    model = create(tf_keras, name, weights=None)
    size = model.input.shape[1]
    images = rng.uniform(0, 255, (2, size, size, 3)).astype("f4")
    training = rng.uniform(0, 255, (4, size, size, 3)).astype("f4")
    randomise(model, rng, training)
    weights = f"keras2-{name}-weights.h5"
    model.save_weights(path(weights))
    legacy = logits_of(tf_keras, model, images)
    record(weights, name, images, legacy, "legacy")
    save_all(tf_keras, model, f"keras2-{name}", name, images, legacy, [".h5", ".keras"] if every else [".h5"])

    fixed = published(name, path(weights))
    randomise(fixed, rng, training)
    logits = logits_of(keras, fixed, images)
    save_all(keras, fixed, f"keras3-{name}", name, images, logits, [".h5", ".keras"] if every else [".keras"])
    fixed.save_weights(path(f"keras3-{name}.weights.h5"))
    record(f"keras3-{name}.weights.h5", name, images, logits, "fixed")
    # As published: Keras 2 wrote the weights, the model that reads them adds what they lack.
    model.set_weights(fixed.get_weights())
    for ending in ("-published.h5", "-published.weights.h5"):
        model.save_weights(path(f"keras2-{name}{ending}"))
        record(f"keras2-{name}{ending}", name, images, logits, "fixed")
    if every:
        low_precision(fixed, name, images, path(weights))


def second_version(name, rng):
    model = create(keras, name, weights=None)
    size = model.input.shape[1]
    images = rng.uniform(0, 255, (2, size, size, 3)).astype("f4")
    randomise(model, rng, rng.uniform(0, 255, (4, size, size, 3)).astype("f4"))
    save_all(keras, model, f"keras3-{name}", name, images, logits_of(keras, model, images), [".keras", ".weights.h5"])
    older = create(tf_keras, name, weights=None)
    older.set_weights(model.get_weights())
    save_all(tf_keras, older, f"keras2-{name}", name, images, logits_of(tf_keras, older, images), ["-weights.h5", ".weights.h5"])


def low_precision(model, name, images, weights):
    """Weights in 16 bits; the logits are those of the same weights in float32."""
    import ml_dtypes
    for policy, kind in (("float16", np.float16), ("bfloat16", ml_dtypes.bfloat16)):
        rounded = [w if w.dtype.kind != "f" else w.astype(kind).astype("f4") for w in model.get_weights()]
        model.set_weights(rounded)
        next(layer for layer in model.layers if type(layer).__name__ == "Normalization").finalize_state()
        logits = logits_of(keras, model, images)
        keras.config.set_dtype_policy(policy)
        low = published(name, weights)
        keras.config.set_dtype_policy("float32")
        for target, value in zip(low.weights, rounded):
            target.assign(value)
        for suffix in (".weights.h5", ".h5"):
            file = f"keras3-{name}-{policy}{suffix}"
            low.save_weights(path(file)) if "weights" in suffix else low.save(path(file))
            record(file, name, images, logits, "fixed" if "weights" in suffix else None)


rng = np.random.default_rng(arguments.seed)
for model_name in arguments.models:
    if model_name.startswith("v2"):
        second_version(model_name, rng)
    else:
        first_version(model_name, rng, model_name == "b0")
for library, version in ((keras, 3), (tf_keras, 2)):
    base, nested = transfer(library, "b0", 5)
    randomise(base, rng, rng.uniform(0, 255, (4, 96, 128, 3)).astype("f4"))
    pixels = rng.uniform(0, 255, (2, 96, 128, 3)).astype("f4")
    logits = run(base, pixels) @ nested.get_weights()[-2] + nested.get_weights()[-1]
    # A new model, not Keras' own weights: its Normalization is read as it stands.
    save_all(library, nested, f"keras{version}-nested", "b0", pixels, logits, [".h5", ".keras"])

with open(path("index.json"), "w") as file:
    json.dump(index, file, indent=1)
