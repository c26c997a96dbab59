# SPDX-License-Identifier: Apache-2.0
"""Contestants that only Python can start: OpenVINO on the ONNX file, and LiteRT with XNNPACK on a
TensorFlow Lite file that tflite_writer.py makes of the same folded weights. None is a dependency.
"""
import importlib
import importlib.metadata
import os
import subprocess
import sys


class NotInstalled(Exception):
    def __init__(self, package):
        super().__init__(f"the Python package {package} is not installed")
        self.install = f"python3 -m pip install {package}"


def package(module, name):
    """Imports `module` of the package `name`."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise NotInstalled(name) from error


def read_input(task):
    """float32 [batch][3][height][width]."""
    numpy = package("numpy", "numpy")
    shape = (task["batch"], 3, task["height"], task["width"])
    return numpy.fromfile(task["files"]["input"], dtype="<f4")[: shape[0] * 3 * shape[2] * shape[3]].reshape(shape)


class OpenVino:
    def open(self, task):
        openvino = package("openvino", "openvino")
        core = openvino.Core()
        model = core.read_model(task["files"]["onnx"])
        pixels = read_input(task)
        model.reshape(pixels.shape)
        compiled = core.compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": task["threads"],
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            # Without it bfloat16 may be used where the processor has it: another computation.
            "INFERENCE_PRECISION_HINT": "f32",
        })
        self.request = compiled.create_infer_request()
        self.request.set_input_tensor(openvino.Tensor(pixels))
        return f"openvino {openvino.__version__.split('-')[0]}"

    def run(self):
        self.request.infer()

    def values(self):
        return self.request.get_output_tensor(0).data.reshape(-1)


class LiteRt:
    def prepare(self, task):
        """Writes the file, in a process of its own: neither its time nor its memory is the library's."""
        package("ai_edge_litert", "ai-edge-litert")
        files = task["files"]
        self.path = os.path.join(os.path.dirname(files["network"]), "model.tflite")
        writer = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tflite_writer.py")
        size = [str(task[name]) for name in ("batch", "height", "width")]
        done = subprocess.run([sys.executable, writer, files["network"], files["folded"], *size, self.path],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"the TensorFlow Lite file could not be written: {done.stderr.strip()[-300:]}")

    def open(self, task):
        interpreter = package("ai_edge_litert.interpreter", "ai-edge-litert")
        pixels = read_input(task).transpose(0, 2, 3, 1).copy()  # TensorFlow's order
        # With several threads or one, the interpreter applies XNNPACK by itself.
        self.interpreter = interpreter.Interpreter(model_path=self.path, num_threads=task["threads"])
        self.interpreter.allocate_tensors()
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], pixels)
        self.output = self.interpreter.get_output_details()[0]["index"]
        return f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}, XNNPACK"

    def run(self):
        self.interpreter.invoke()

    def values(self):
        return self.interpreter.get_tensor(self.output).reshape(-1)


CONTESTANTS = {"openvino": OpenVino, "litert": LiteRt}
