#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random EfficientNets as TensorFlow's own converters write them: TensorFlow Lite files (float32, and
float16 weights), TensorFlow.js graph models and layers models (float32, and quantised to uint8, uint16
and float16), with their logits. Nothing is downloaded.

index.json says for each file which network it is and where pixels (of 0 to 255, float32, NHWC) and
logits lie; raw little-endian float32. Of a quantised graph model there is a copy with the numbers that
TensorFlow.js' own library makes of its weights, `dequantized`, in place of logits.

  python3 test/golden/make_tensorflow.py --out build/tensorflow --models b0 b3 v2-s

PyPI: tensorflow, tf_keras, and tensorflowjs without its dependencies; without the latter only TensorFlow Lite.
"""
import argparse
import json
import os
import sys
from unittest.mock import MagicMock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

SIZES = {"b0": (96, 128), "b3": (105, 90), "v2-b0": (96, 128), "v2-s": (128, 96)}
NAMES = {"b0": "EfficientNetB0", "b3": "EfficientNetB3", "v2-b0": "EfficientNetV2B0", "v2-s": "EfficientNetV2S"}
CLASSES = 9
KINDS = ["uint8", "uint16", "float16"]
SHARD = 1 << 20
index = []


def tensorflowjs():
    """Its imports name the frameworks that it can convert too, of which none is needed."""
    for name in ("tensorflow_decision_forests", "tensorflow_hub", "jax", "jax.experimental", "jax.experimental.jax2tf", "flax"):
        sys.modules.setdefault(name, MagicMock())
    for name in ("object", "bool"):
        if not hasattr(np, name):
            setattr(np, name, {"object": object, "bool": bool}[name])
    try:
        import tensorflowjs as library
        from tensorflowjs.converters import tf_saved_model_conversion_v2
        return library, tf_saved_model_conversion_v2
    except ImportError:
        return None


def randomise(model, rng, images):
    norms = [layer for layer in model.layers if isinstance(layer, tf_keras.layers.BatchNormalization)]
    for layer in model.layers:
        if isinstance(layer, (tf_keras.layers.Conv2D, tf_keras.layers.Dense)):
            kernel = layer.get_weights()[0]
            depthwise = isinstance(layer, tf_keras.layers.DepthwiseConv2D)
            fan = np.prod(kernel.shape[:2] if depthwise else kernel.shape[:-1])
            layer.set_weights([rng.normal(0, 1 / np.sqrt(fan), kernel.shape)] + [rng.normal(0, 0.2, b.shape) for b in layer.get_weights()[1:]])
        elif isinstance(layer, tf_keras.layers.Normalization) and layer.get_weights():
            # As in Keras' own weights of B0 to B7, which store deviations where variances should be.
            mean, variance, count = layer.get_weights()
            layer.set_weights([np.reshape([0.485, 0.456, 0.406], mean.shape), np.reshape([0.229, 0.224, 0.225], variance.shape), count])
            layer.finalize_state()
    for norm in norms:
        gamma, beta, mean, variance = norm.get_weights()
        norm.set_weights([rng.uniform(0.5, 1.5, gamma.shape), rng.normal(0, 0.2, beta.shape), mean * 0, variance * 0 + 1])
        norm.momentum = 0.0
    model(images, training=True)
    for norm in norms:
        gamma, beta, mean, variance = norm.get_weights()
        norm.set_weights([gamma, beta, mean + 0.1 * np.sqrt(variance) * rng.normal(size=mean.shape), variance * rng.uniform(0.7, 1.4, variance.shape)])
        norm.momentum = 0.99


def record(folder, file, model, images, logits=None, **more):
    base = os.path.join(folder, file.replace("/", "-"))
    entry = {"file": file, "architecture": model, "height": images.shape[1], "width": images.shape[2], "classes": CLASSES, **more}
    if logits is not None:
        images.astype("<f4").tofile(base + ".input.f32")
        logits.astype("<f4").tofile(base + ".logits.f32")
        entry.update(input=os.path.basename(base + ".input.f32"), logits=os.path.basename(base + ".logits.f32"))
    index.append(entry)
    print(file, "" if logits is None else f"largest logit {np.abs(logits).max():.3f}", flush=True)


def lite(folder, name, network, images):
    # From a graph whose weights are constants: from_keras_model writes the same in ten times as long.
    call = tf.function(lambda image: network(image, training=False))
    graph = convert_variables_to_constants_v2(call.get_concrete_function(tf.TensorSpec((1, *images.shape[1:]))), lower_control_flow=False)
    for suffix in ("", "-f16"):
        converter = tf.lite.TFLiteConverter.from_concrete_functions([graph])
        if suffix:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        data = converter.convert()
        with open(os.path.join(folder, f"{name}{suffix}.tflite"), "wb") as file:
            file.write(data)
        interpreter = tf.lite.Interpreter(model_content=data)
        interpreter.allocate_tensors()
        logits = []
        for image in images:
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
            interpreter.invoke()
            logits.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0].copy())
        record(folder, f"{name}{suffix}.tflite", name, images, np.stack(logits))


def read_back(library, folder):
    """The weights of a model as TensorFlow.js' Python library brings them back to float32, group by group."""
    with open(os.path.join(folder, "model.json")) as file:
        model = json.load(file)
    return model, library.read_weights.read_weights(model["weightsManifest"], folder)


def write_again(library, folder, model, groups, **options):
    os.makedirs(folder, exist_ok=True)
    manifest = library.write_weights.write_weights(groups, folder, write_manifest=False, **options)
    with open(os.path.join(folder, "model.json"), "w") as file:
        json.dump({**model, "weightsManifest": manifest}, file)


def layers_models(folder, name, network, images, library):
    # Small shards: a weight then lies across two.
    library.converters.save_keras_model(network, os.path.join(folder, f"{name}-layers"), weight_shard_size_bytes=SHARD)
    record(folder, f"{name}-layers/model.json", name, images, network(images, training=False).numpy())
    original = network.get_weights()
    for kind in KINDS:
        target = os.path.join(folder, f"{name}-layers-{kind}")
        library.converters.save_keras_model(network, target, quantization_dtype_map={kind: "*"}, weight_shard_size_bytes=SHARD)
        read = {w["name"]: w["data"] for group in read_back(library, target)[1] for w in group}
        for layer in network.layers:
            layer.set_weights([read[w.name.split(":")[0]] for w in layer.weights])
            if isinstance(layer, tf_keras.layers.Normalization) and layer.get_weights():
                layer.finalize_state()
        # Not predict(), which keeps the mean and variance of its first call.
        record(folder, f"{name}-layers-{kind}/model.json", name, images, network(images, training=False).numpy())
        network.set_weights(original)


def graph_models(folder, name, network, images, library, conversion):
    plain = os.path.join(folder, f"{name}-graph")
    conversion.convert_keras_model_to_graph_model(network, plain, weight_shard_size_bytes=SHARD)
    record(folder, f"{name}-graph/model.json", name, images, network(images, training=False).numpy())
    model, groups = read_back(library, plain)
    for kind in KINDS:
        target = f"{plain}-{kind}"
        write_again(library, target, model, groups, quantization_dtype_map={kind: [w["name"] for group in groups for w in group if w["data"].dtype == np.float32]})
        _, read = read_back(library, target)
        write_again(library, target + "-dequantized", model, [[{"name": w["name"], "data": np.asarray(w["data"]).astype("f4" if w["data"].dtype.kind == "f" else "i4")} for w in group] for group in read])
        record(folder, f"{name}-graph-{kind}/model.json", name, images, dequantized=f"{name}-graph-{kind}-dequantized/model.json")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="a directory, made if missing; outside the repository or under build/")
    parser.add_argument("--models", nargs="+", default=["b0", "b3", "v2-s"])
    parser.add_argument("--graphs", nargs="*", default=["b0"], help="of which models to write TensorFlow.js graph models, which takes half a minute each")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    rng = np.random.default_rng(arguments.seed)
    converters = tensorflowjs()
    for name in arguments.models:
        height, width = SIZES[name]
        # Without top, since Keras fixes the size of the image where there is one.
        base = getattr(tf_keras.applications, NAMES[name])(weights=None, include_top=False, input_shape=(height, width, 3), pooling="avg")
        network = tf_keras.Model(base.input, tf_keras.layers.Dense(CLASSES, name="predictions")(base.output))
        randomise(network, rng, rng.uniform(0, 255, (8, height, width, 3)).astype("f4"))
        images = rng.uniform(0, 255, (2, height, width, 3)).astype("f4")
        lite(arguments.out, name, network, images)
        if converters is None:
            continue
        library, conversion = converters
        if name in arguments.graphs:
            graph_models(arguments.out, name, network, images, library, conversion)
        layers_models(arguments.out, name, network, images, library)
    with open(os.path.join(arguments.out, "index.json"), "w") as file:
        json.dump(index, file, indent=1)


if __name__ == "__main__":
    main()
