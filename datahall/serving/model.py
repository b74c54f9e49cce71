"""The network that is served: LiteRT on the very bytes that were verified."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from ai_edge_litert import interpreter as litert
from numpy.typing import NDArray

from datahall.serving.protocol import TensorSpec, refuse
from datahall.serving.signing import BROKEN, LABELS_FILE, Verified

KEPT_BATCHES = 4  # interpreters that stay prepared, each for one batch size


class ServedModel:
    """A verified model, ready to answer.

    Args:
        verified: The files as they were judged.

    Raises:
        RefusedError: They hold no network of this service's form.

    Attributes:
        name: Its name.
        version: Its number.
        digest: SHA-256 of its `.tflite`, in hex.
        inputs: What it takes.
        outputs: What it gives.
        labels: Names of the classes, where there are some.
    """

    def __init__(self, verified: Verified) -> None:
        self.version, self.digest = verified.version, verified.digest
        self._content = verified.tflite
        self._ready: dict[int, litert.Interpreter] = {}
        try:
            self.name = str(verified.card["name"])
            self.inputs = [TensorSpec.from_dict(one) for one in verified.card["inputs"]]
            self.outputs = [TensorSpec.from_dict(one) for one in verified.card["outputs"]]
            self.labels = _labels(verified.files.get(LABELS_FILE))
            first = self._prepared(1)
            given, made = first.get_input_details()[0], first.get_output_details()[0]
            self._in, self._out = given["index"], made["index"]
            self._codes = _codes(given)
            self._scale, self._zero = _quantized(made)
            _, scores = self.predict(np.zeros((1, *self.inputs[0].shape[1:]), np.uint8))
            fits = len(self.inputs) == 1 and self.outputs[1].fits(scores.shape)
        except (ValueError, LookupError, TypeError, RuntimeError):
            fits = False
        if not fits:
            refuse(BROKEN, "bad_model", "The files hold no network of this service's form.")

    def predict(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return class and scores of images.

        Args:
            images: (batch, height, width, channels), uint8, 0 to 255.

        Returns:
            Labels (batch,), and scores (batch, classes) that sum to 1.
        """
        batch = len(images)
        runner = self._prepared(batch)
        runner.set_tensor(self._in, self._codes[images])
        runner.invoke()
        codes = runner.get_tensor(self._out)  # (batch, classes)
        logits = (codes.astype(np.float32) - self._zero) * self._scale
        logits -= logits.max(axis=1, keepdims=True)
        scores = np.exp(logits)
        scores /= scores.sum(axis=1, keepdims=True)
        return codes.argmax(axis=1), scores

    def _prepared(self, batch: int) -> litert.Interpreter:
        """Return an interpreter for a batch size; the ones that were used last are kept."""
        runner = self._ready.pop(batch, None)
        if runner is None:
            runner = litert.Interpreter(model_content=self._content, num_threads=1)
            index = runner.get_input_details()[0]
            runner.resize_tensor_input(index["index"], [batch, *index["shape"][1:]])
            runner.allocate_tensors()
            if len(self._ready) >= KEPT_BATCHES:
                del self._ready[next(iter(self._ready))]
        self._ready[batch] = runner
        return runner


def _codes(given: dict[str, Any]) -> NDArray[Any]:
    """Return what each of the 256 pixel values is for the network, (256,).

    The network was trained on pixels divided by 255; its int8 codes are those over its scale.
    """
    real = np.arange(256, dtype=np.float32) / np.float32(255)
    if given["dtype"] is np.float32:
        return real
    scale, zero = _quantized(given)
    info = np.iinfo(given["dtype"])
    codes = np.round(real / np.float32(scale)) + zero
    return np.clip(codes, info.min, info.max).astype(given["dtype"])


def _quantized(details: dict[str, Any]) -> tuple[np.float32, np.float32]:
    scale, zero = details["quantization"]
    return np.float32(scale or 1.0), np.float32(zero)


def _labels(content: bytes | None) -> list[str] | None:
    return None if content is None else [str(one) for one in json.loads(content)]
