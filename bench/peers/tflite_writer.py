#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a network and its folded float32 weights as a TensorFlow Lite file, in the operators that
TensorFlow's own converter makes of an EfficientNet: swish as LOGISTIC and MUL, the mean as MEAN, a
squeeze as 1x1 convolutions, symmetric padding of a strided layer as PAD. For bench/peers alone.

  python3 bench/peers/tflite_writer.py NETWORK.json WEIGHTS.safetensors BATCH HEIGHT WIDTH OUT.tflite

Needs ai-edge-litert, whose package holds the schema, flatbuffers and numpy.
"""
import json
import struct
import sys

import flatbuffers
import numpy
from ai_edge_litert import schema_py_generated as schema

FUSED = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}


def read_safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    header.pop("__metadata__", None)
    return {
        name: numpy.frombuffer(data, "<f4", offset=entry["data_offsets"][0],
                               count=(entry["data_offsets"][1] - entry["data_offsets"][0]) // 4).reshape(entry["shape"])
        for name, entry in header.items()
    }


class Graph:
    """One subgraph under construction; tensors are known by their index."""

    def __init__(self):
        self.subgraph = schema.SubGraphT()
        self.subgraph.tensors, self.subgraph.operators = [], []
        self.buffers = [schema.BufferT()]  # the first stands for "no data"
        self.codes = []

    def tensor(self, name, shape, data=None):
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name.encode(), [int(size) for size in shape]
        tensor.type = schema.TensorType.FLOAT32
        tensor.buffer = 0
        if data is not None:
            if data.dtype == numpy.int32:
                tensor.type = schema.TensorType.INT32
            buffer = schema.BufferT()
            buffer.data = numpy.frombuffer(numpy.ascontiguousarray(data).tobytes(), numpy.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.subgraph.tensors.append(tensor)
        return len(self.subgraph.tensors) - 1

    def shape(self, index):
        return self.subgraph.tensors[index].shape

    def constant(self, name, values):
        return self.tensor(name, values.shape, values)

    def operator(self, kind, name, inputs, shape, options=None):
        """Adds an operator with one output of that shape; `kind` as schema.BuiltinOperator calls it."""
        code = getattr(schema.BuiltinOperator, kind)
        if code not in self.codes:
            self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.index(code)
        operator.inputs, operator.outputs = inputs, [self.tensor(name, shape)]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        self.subgraph.operators.append(operator)
        return operator.outputs[0]

    def finish(self, inputs, outputs):
        self.subgraph.inputs, self.subgraph.outputs = inputs, outputs
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [self.subgraph], self.buffers
        model.operatorCodes = []
        for code in self.codes:
            entry = schema.OperatorCodeT()
            # The first field is of one byte; larger codes have the second alone.
            entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
            model.operatorCodes.append(entry)
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


class Layers(Graph):
    """The layers of an EfficientNet in NHWC."""

    def __init__(self, network, weights):
        super().__init__()
        self.same = network["padding"] == "same"
        self.weights = weights

    def parameters(self, name, shape):
        return self.weights[f"{name}.weight"].reshape(shape), self.constant(f"{name}.bias", self.weights[f"{name}.bias"])

    def binary(self, kind, name, a, b, fused="none"):
        options = schema.MulOptionsT() if kind == "MUL" else schema.AddOptionsT()
        options.fusedActivationFunction = FUSED[fused]
        return self.operator(kind, name, [a, b], self.shape(a), options)

    def activation(self, name, x, activation):
        if activation in FUSED:
            return x  # the layer has applied it
        shape = self.shape(x)
        if activation == "sigmoid":
            return self.operator("LOGISTIC", f"{name}.sigmoid", [x], shape)
        if activation == "swish":
            return self.binary("MUL", f"{name}.swish", x, self.operator("LOGISTIC", f"{name}.sigmoid", [x], shape))
        if activation == "hard-swish":
            return self.operator("HARD_SWISH", f"{name}.hard_swish", [x], shape, schema.HardSwishOptionsT())
        if activation == "hard-sigmoid":
            three, sixth = (self.constant(f"{name}.{text}", numpy.float32([value])) for text, value in (("three", 3), ("sixth", 1 / 6)))
            return self.binary("MUL", f"{name}.hard_sigmoid", self.binary("ADD", f"{name}.shifted", x, three, "relu6"), sixth)
        raise ValueError(f"the activation {activation} is not known here")

    def window(self, name, x, kernel, stride):
        """The padded input, the padding's name, and the size of the output."""
        batch, height, width, channels = self.shape(x)
        out = (-(-height // stride), -(-width // stride))
        # With a stride of 1 and an odd kernel both conventions pad alike.
        if self.same or stride == 1:
            return x, schema.Padding.SAME, out
        side = kernel // 2
        pads = self.constant(f"{name}.pads", numpy.int32([[0, 0], [side, side], [side, side], [0, 0]]))
        padded = self.operator("PAD", f"{name}.padded", [x, pads], [batch, height + 2 * side, width + 2 * side, channels], schema.PadOptionsT())
        return padded, schema.Padding.VALID, out

    def convolution(self, name, x, activation, kernel=1, stride=1):
        batch, channels = self.shape(x)[0], self.shape(x)[3]
        weights, bias = self.parameters(name, (-1, channels, kernel, kernel))
        source, padding, (height, width) = self.window(name, x, kernel, stride)
        options = schema.Conv2DOptionsT()
        options.padding, options.strideH, options.strideW = padding, stride, stride
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = FUSED.get(activation, FUSED["none"])
        filters = self.constant(f"{name}.weight", weights.transpose(0, 2, 3, 1))
        out = self.operator("CONV_2D", name, [source, filters, bias], [batch, height, width, weights.shape[0]], options)
        return self.activation(name, out, activation)

    def depthwise(self, name, x, activation, kernel, stride):
        batch, channels = self.shape(x)[0], self.shape(x)[3]
        weights, bias = self.parameters(name, (channels, kernel, kernel))
        source, padding, (height, width) = self.window(name, x, kernel, stride)
        options = schema.DepthwiseConv2DOptionsT()
        options.padding, options.strideH, options.strideW, options.depthMultiplier = padding, stride, stride, 1
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = FUSED.get(activation, FUSED["none"])
        filters = self.constant(f"{name}.weight", weights.transpose(1, 2, 0)[None])
        out = self.operator("DEPTHWISE_CONV_2D", name, [source, filters, bias], [batch, height, width, channels], options)
        return self.activation(name, out, activation)

    def mean(self, name, x, keep):
        batch, channels = self.shape(x)[0], self.shape(x)[3]
        options = schema.ReducerOptionsT()
        options.keepDims = keep
        axes = self.constant(f"{name}.axes", numpy.int32([1, 2]))
        return self.operator("MEAN", name, [x, axes], [batch, 1, 1, channels] if keep else [batch, channels], options)

    def dense(self, name, x, activation):
        batch, channels = self.shape(x)
        weights, bias = self.parameters(name, (-1, channels))
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = FUSED.get(activation, FUSED["none"])
        out = self.operator("FULLY_CONNECTED", name, [x, self.constant(f"{name}.weight", weights), bias], [batch, len(weights)], options)
        return self.activation(name, out, activation)

    def block(self, prefix, block, source):
        x = source
        if block["kind"] == "fused":
            x = self.convolution(f"{prefix}.conv", x, block["activation"], block["kernel"], block["stride"])
        else:
            if block["hasExpand"]:
                x = self.convolution(f"{prefix}.expand", x, block["activation"])
            x = self.depthwise(f"{prefix}.depthwise", x, block["activation"], block["kernel"], block["stride"])
            if block["squeeze"] > 0:
                gate = self.mean(f"{prefix}.squeeze", x, True)
                gate = self.convolution(f"{prefix}.reduce", gate, block["squeezeActivation"])
                gate = self.convolution(f"{prefix}.excite", gate, block["gateActivation"])
                x = self.binary("MUL", f"{prefix}.gated", x, gate)
        if block.get("hasProject", True):
            x = self.convolution(f"{prefix}.project", x, "none")
        return self.binary("ADD", f"{prefix}.sum", x, source) if block["residual"] else x


def write_tflite(network_path, weights_path, shape, path):
    """`shape` is [batch, height, width, 3], fixed in the file."""
    with open(network_path, encoding="utf-8") as file:
        network = json.load(file)
    graph = Layers(network, read_safetensors(weights_path))
    pixels = graph.tensor("input", shape)
    stem, head = network["stem"], network["head"]
    x = graph.convolution("stem", pixels, stem["activation"], stem["kernel"], stem["stride"])
    for position, block in enumerate(network["blocks"]):
        x = graph.block(f"blocks.{position}", block, x)
    x = graph.mean("head.mean", graph.convolution("head.conv", x, head["activation"]), False)
    if head["hidden"] > 0:
        x = graph.dense("head.hidden", x, head["hiddenActivation"])
    x = graph.dense("head.classifier", x, "none")
    with open(path, "wb") as file:
        file.write(graph.finish([pixels], [x]))


if __name__ == "__main__":
    write_tflite(sys.argv[1], sys.argv[2], [*map(int, sys.argv[3:6]), 3], sys.argv[6])
