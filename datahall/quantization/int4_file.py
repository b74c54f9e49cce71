"""Write what LiteRT's converter does not: a `.tflite` file whose kernels have 4 bits a weight.

The runtime has kernels for such files. `to_int4` takes an int8 file and writes its kernels on the
grid of 15 codes, two to a byte; `codes_of` reads the kernels' codes of either kind of file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from datahall.errors import DataError, ParameterError
from datahall.quantization.core import Array, half_away, pack_int4, unpack_int4

IDENTIFIER = b"TFL3"
COARSER = 127 / 7
"""Steps of the 8-bit grid in one of the 4-bit grid, both symmetric and of the same reach."""


def to_int4(content: bytes, layers: Collection[str] | None = None) -> bytes:
    """Return an int8 file with its kernels in 4 bits; activations stay int8, biases int32.

    A filter's largest code is 127; on the 4-bit grid it is 7, so a step is 127/7 times longer.
    Kernels that stand on the 4-bit grid already come through unchanged.

    Args:
        content: A file of the variant "int8" or "int8 in and out".
        layers: Names of the layers; all that have weights if left out.

    Raises:
        ParameterError: A name is not in the file.
        DataError: A kernel is not int8.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    names = [name for name, _, _ in _kernels(model)]
    unknown = set(layers or ()) - set(names)
    if unknown:
        raise ParameterError(
            f"{sorted(unknown)} is no layer of this file. Expected names out of {names}."
        )
    for name, kernel, bias in _kernels(model):
        if layers is None or name in layers:
            _narrow(model, name, kernel, bias)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def codes_of(content: bytes) -> dict[str, Array]:
    """Return the codes of each kernel, (filters, …), by the layer's name; int8 arrays."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    found = {}
    for name, kernel, _ in _kernels(model):
        data = model.buffers[kernel.buffer].data
        if kernel.type == schema.TensorType.INT4:
            flat = unpack_int4(data, int(np.prod(kernel.shape)))
        else:
            flat = data.view(np.int8)
        found[name] = flat.reshape(kernel.shape)
    return found


def _kernels(model: Any) -> Iterator[tuple[str, Any, Any]]:
    graph = model.subgraphs[0]
    for operator in graph.operators:
        if isinstance(
            operator.builtinOptions, schema.Conv2DOptionsT | schema.FullyConnectedOptionsT
        ):
            kernel, bias = (graph.tensors[index] for index in operator.inputs[1:])
            yield kernel.name.decode().split("/")[-2].removesuffix("_1"), kernel, bias


def _narrow(model: Any, name: str, kernel: Any, bias: Any) -> None:
    if kernel.type != schema.TensorType.INT8:
        raise DataError(
            f"{name} is not int8. Expected a file of the variant int8. Convert with calibration "
            "images first."
        )
    codes = model.buffers[kernel.buffer].data.view(np.int8)
    model.buffers[kernel.buffer].data = pack_int4(half_away(codes / COARSER))
    kernel.type = schema.TensorType.INT4
    kernel.quantization.scale = _longer(kernel)
    held = model.buffers[bias.buffer].data
    if held is not None:  # a bias of nothing but zeros is not stored
        sums = half_away(held.view(np.int32) / COARSER).astype(np.int32)
        model.buffers[bias.buffer].data = sums.view(np.uint8)
    if bias.quantization is not None and bias.quantization.scale is not None:
        bias.quantization.scale = _longer(bias)


def _longer(tensor: Any) -> Array:
    return np.asarray(np.asarray(tensor.quantization.scale, np.float64) * COARSER, np.float32)
