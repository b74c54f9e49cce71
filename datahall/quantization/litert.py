"""LiteRT: make a `.tflite` file of a Keras model, read its layers, run it on chosen kernels.

Reading order: `convert` (needs TensorFlow), `Runner` (runs a file on the default or the reference
kernels), `layers_of` (the layers of an int8 file, as `integers.Layer`), `parts` (who needs its
bytes). All but `convert` need `ai-edge-litert` alone, which is what serves later.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema

from datahall.errors import DataError, ParameterError, ShapeError
from datahall.quantization.core import Array, quantize
from datahall.quantization.integers import Layer

if TYPE_CHECKING:
    import keras

VARIANTS = ("float32", "float16", "dynamic", "int8", "int8 in and out")
KERNELS = {
    "reference": litert.OpResolverType.BUILTIN_REF,
    "optimized": litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "default": litert.OpResolverType.BUILTIN,
}
"""Which kernels: the plain ones, LiteRT's own fast ones, and XNNPACK's (what everybody gets)."""
VERSION = metadata.version("ai-edge-litert")


def convert(model: keras.Model, variant: str, calibration: Array | None = None) -> bytes:
    """Return a model as a `.tflite` file.

    Args:
        model: Takes (batch, height, width, channels), float32.
        variant: "float32"; "float16" (weights); "dynamic" (int8 weights); "int8" (activations too,
            float in and out); "int8 in and out".
        calibration: Images to measure the activations' ranges on; the int8 variants need them.

    Raises:
        ParameterError: There is no such variant, or it needs calibration images.
    """
    if variant not in VARIANTS:
        raise ParameterError(f"variant is {variant!r}. Expected one of {', '.join(VARIANTS)}.")
    if "int8" in variant and (calibration is None or not len(calibration)):
        raise ParameterError(
            f"{variant} needs calibration images, there are none. A few hundred training images "
            "were expected: give them as calibration."
        )
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if calibration is not None and "int8" in variant:
        converter.representative_dataset = lambda: ([image[None]] for image in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if variant == "int8 in and out":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with quiet():
        return bytes(converter.convert())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep back what the converter prints, also from C++: it says nothing about the result."""
    with tempfile.TemporaryFile() as sink, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = [os.dup(stream) for stream in (1, 2)]
        disabled = logging.root.manager.disable
        try:
            logging.disable(logging.WARNING)
            for stream in (1, 2):
                os.dup2(sink.fileno(), stream)
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        finally:
            logging.disable(disabled)
            for stream, old in zip((1, 2), kept, strict=True):
                os.dup2(old, stream)
                os.close(old)


class Runner:
    """A `.tflite` file, ready to run.

    Args:
        model: The file's path or its bytes.
        kernels: "default" (XNNPACK), "optimized" or "reference".
        threads: Threads of one run.
        keep: Whether `tensor` can read every layer's output after a run.

    Raises:
        ParameterError: There are no such kernels.
        DataError: It is no `.tflite` file.

    Attributes:
        scale: Scale of the input codes; 0 where the input is float.
        zero_point: Their zero point.
        output_scale: Scale of the output codes; 0 where the output is float.
        output_zero_point: Their zero point.
    """

    def __init__(
        self, model: Path | bytes, *, kernels: str = "default", threads: int = 1, keep: bool = False
    ) -> None:
        if kernels not in KERNELS:
            raise ParameterError(f"kernels is {kernels!r}. Expected one of {', '.join(KERNELS)}.")
        with quiet():
            try:
                self._interpreter = litert.Interpreter(
                    model_content=model if isinstance(model, bytes) else model.read_bytes(),
                    experimental_op_resolver_type=KERNELS[kernels],
                    experimental_preserve_all_tensors=keep,
                    num_threads=threads,
                )
            except (ValueError, OSError) as error:
                raise DataError(f"This is no .tflite file that runs ({error}).") from error
        self._batch = 0
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self.scale, self.zero_point = self._input["quantization"]
        self.output_scale, self.output_zero_point = self._output["quantization"]

    def prepare(self, batch: int) -> None:
        """Make room for so many images; `run` does it by itself when the number changes."""
        if batch == self._batch:
            return
        with quiet():
            shape = [batch, *self._input["shape"][1:]]
            self._interpreter.resize_tensor_input(self._input["index"], shape)
            self._interpreter.allocate_tensors()
        self._batch = batch

    def run(self, images: Array) -> Array:
        """Return the outputs for images.

        Args:
            images: (batch, …), float32, or int8 codes where the file takes codes.

        Raises:
            ShapeError: The images have another shape than the file's.
        """
        if tuple(images.shape[1:]) != tuple(self._input["shape"][1:]):
            raise ShapeError(
                f"images have shape {images.shape}, the file takes {tuple(self._input['shape'])}."
                " Expected these, with any batch. Add or drop an axis."
            )
        self.prepare(len(images))
        self._interpreter.set_tensor(self._input["index"], images)
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output["index"]))

    def codes(self, images: Array) -> Array:
        """Return images as the file takes them: quantized if it takes codes, else as they are.

        Input and output shape: (batch, height, width, channels).
        """
        if self._input["dtype"] is np.float32:
            return images
        return quantize(images, self.scale, self.zero_point)

    def classes(self, images: Array, *, batch: int = 250) -> Array:
        """Return the class of each float image, by the largest output.

        Args:
            images: (images, height, width, channels), float32.
            batch: Images in one run.

        Returns:
            (images,).
        """
        parts = [images[start : start + batch] for start in range(0, len(images), batch)]
        return np.concatenate([self.run(self.codes(part)).argmax(axis=-1) for part in parts])

    def tensor(self, index: int) -> Array:
        """Return a tensor of the last run by its index in the file; needs `keep`."""
        return np.array(self._interpreter.get_tensor(index))


def layers_of(content: bytes) -> list[tuple[int, Layer]]:
    """Return the layers of an int8 file in order, each with the index of its output tensor.

    Args:
        content: A file of the variant "int8" or "int8 in and out".

    Raises:
        DataError: A layer with weights is not quantized to int8.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    found = []
    for operator in graph.operators:
        options = operator.builtinOptions
        if isinstance(options, schema.Conv2DOptionsT | schema.FullyConnectedOptionsT):
            layer = _layer(model, graph.tensors, operator)
            found.append((int(operator.outputs[0]), layer))
    return found


def _layer(model: Any, tensors: Any, operator: Any) -> Layer:
    source, weights, bias = (tensors[index] for index in operator.inputs)
    result, options = tensors[operator.outputs[0]], operator.builtinOptions
    conv = isinstance(options, schema.Conv2DOptionsT)
    if weights.type != schema.TensorType.INT8 or result.type != schema.TensorType.INT8:
        raise DataError(
            f"{weights.name.decode()} is not int8 in weights and output. Expected a file of the "
            "variant int8. Convert with calibration images."
        )
    return Layer(
        name=weights.name.decode().split("/")[-2].removesuffix("_1"),
        weights=_values(model, weights, np.int8),
        bias=_values(model, bias, np.int32),
        input_scale=source.quantization.scale[0],
        input_zero=int(source.quantization.zeroPoint[0]),
        weight_scales=weights.quantization.scale,
        output_scale=result.quantization.scale[0],
        output_zero=int(result.quantization.zeroPoint[0]),
        stride=options.strideH if conv else 1,
        same=conv and options.padding == schema.Padding.SAME,
        relu=options.fusedActivationFunction == schema.ActivationFunctionType.RELU,
    )


def _values(model: Any, tensor: Any, dtype: Any) -> Array:
    return np.asarray(model.buffers[tensor.buffer].data.view(dtype).reshape(tensor.shape))


def parts(content: bytes) -> dict[str, int]:
    """Return whose the bytes of a file are: weights, biases, scales and zero points, the rest.

    The rest is the container: names, shapes, the graph, and room to align the buffers.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    sizes = {"weights": 0, "biases": 0, "scales and zero points": 0}
    for tensor in model.subgraphs[0].tensors:
        data, about = model.buffers[tensor.buffer].data, tensor.quantization
        scaled = about is not None and about.scale is not None
        if data is not None and (scaled or tensor.type != schema.TensorType.INT32):
            sizes["weights" if len(tensor.shape) > 1 else "biases"] += len(data)
        if scaled:
            sizes["scales and zero points"] += about.scale.nbytes + about.zeroPoint.nbytes
    return sizes | {"container": len(content) - sum(sizes.values())}
