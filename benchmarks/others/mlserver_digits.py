"""The course's network in MLServer: a custom runtime, its plain default."""

import os

import numpy as np
from litert_digits import Digits
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class DigitsRuntime(MLModel):
    """Loads the file that `DIGITS_MODEL` names."""

    async def load(self) -> bool:
        """Load it."""
        self.digits = Digits(os.environ["DIGITS_MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request."""
        images = NumpyCodec.decode_input(payload.inputs[0]).astype(np.uint8)
        labels, scores = self.digits(images)
        outputs = [
            NumpyCodec.encode_output("label", labels),
            NumpyCodec.encode_output("scores", scores),
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)
