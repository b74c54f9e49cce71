"""The course's network in BentoML: a service with one method, its plain default."""

import os

import bentoml
import numpy as np
from litert_digits import Digits


@bentoml.service(workers=1)
class DigitsService:
    """Loads the file that `DIGITS_MODEL` names."""

    def __init__(self) -> None:
        self.digits = Digits(os.environ["DIGITS_MODEL"])

    @bentoml.api
    def infer(self, images: np.ndarray) -> dict[str, list]:
        """Answer one request."""
        labels, scores = self.digits(images.astype(np.uint8))
        return {"label": labels.tolist(), "scores": scores.tolist()}
