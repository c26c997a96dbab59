#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes small-keras2.h5, small-keras3.keras and small-latest.h5 beside itself: one tiny network (stem,
one block, head, classifier of 2) as Keras 2 and 3 save it, and an HDF5 file in the layout of
libver='latest'. Every variable counts up from its own number in the list of
variables. Made with keras 3.15, tf_keras 2.21, h5py 3.16; tests expect these values.
"""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import h5py
import numpy as np
import keras
import tf_keras

folder = os.path.dirname(os.path.abspath(__file__))


def network(library):
    layers = library.layers
    image = layers.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Normalization(mean=[0.25, 0.5, 0.75], variance=[4.0, 1.0, 0.25])(x)

    def normed(layer, name, norm):
        return layers.BatchNormalization(name=norm)(layer(name))

    def conv(filters, kernel=1, **options):
        return lambda name: layers.Conv2D(filters, kernel, padding="same", name=name, use_bias=False, **options)(x)

    x = normed(conv(2, 3, strides=2), "stem_conv", "stem_bn")
    x = normed(lambda name: layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=name)(x), "block1a_dwconv", "block1a_bn")
    squeeze = layers.GlobalAveragePooling2D(keepdims=True)(x)
    squeeze = layers.Conv2D(1, 1, name="block1a_se_reduce")(squeeze)
    squeeze = layers.Conv2D(2, 1, activation="sigmoid", name="block1a_se_expand")(squeeze)
    x = layers.Multiply()([x, squeeze])
    x = normed(conv(2), "block1a_project_conv", "block1a_project_bn")
    x = normed(conv(3), "top_conv", "top_bn")
    x = layers.GlobalAveragePooling2D()(x)
    model = library.Model(image, layers.Dense(2, activation="softmax", name="predictions")(x))
    model.set_weights([np.arange(w.size, dtype="f4").reshape(w.shape) + i for i, w in enumerate(model.get_weights())])
    return model


two, three = network(tf_keras), network(keras)
two.save(os.path.join(folder, "small-keras2.h5"), include_optimizer=False)
three.save(os.path.join(folder, "small-keras3.keras"), include_optimizer=False)

with h5py.File(os.path.join(folder, "small-latest.h5"), "w", libver="latest") as file:
    layer = file.create_group("layers/dense")
    values = layer.create_group("vars")
    values.attrs["name"] = "predictions"
    values.create_dataset("0", data=np.arange(6, dtype="f4").reshape(3, 2))
    values.create_dataset("1", data=np.arange(2, dtype="f8"))
