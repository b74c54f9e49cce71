"""The course's network in other people's servers: pixels in, label and scores out.

It runs in environments of their own, without the course's package: LiteRT and NumPy alone.
"""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter


class Digits:
    """The network, ready to answer; batches of one are prepared."""

    def __init__(self, path: str) -> None:
        self.runner = Interpreter(model_content=Path(path).read_bytes(), num_threads=1)
        given, made = self.runner.get_input_details()[0], self.runner.get_output_details()[0]
        self.given, self.made = given["index"], made["index"]
        self.shape = list(given["shape"][1:])
        scale, zero_point = given["quantization"]
        codes = np.rint(np.arange(256) / 255 / scale) + zero_point
        self.codes = np.clip(codes, -128, 127).astype(np.int8)
        self.scale, self.zero_point = made["quantization"]
        self.batch = 0

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return labels (batch,) and scores (batch, classes) of pixels."""
        if len(images) != self.batch:
            self.runner.resize_tensor_input(self.given, [len(images), *self.shape])
            self.runner.allocate_tensors()
            self.batch = len(images)
        self.runner.set_tensor(self.given, self.codes[images])
        self.runner.invoke()
        codes = self.runner.get_tensor(self.made).astype(np.float32)
        raised = np.exp((codes - codes.max(axis=1, keepdims=True)) * self.scale)
        return codes.argmax(axis=1), raised / raised.sum(axis=1, keepdims=True)
