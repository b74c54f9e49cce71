"""Two small tools around `fit`: more images from those there are, and an end at the right time.

Reading order: `shift` (an augmentation), `StopEarly` (a callback).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from datahall.errors import ParameterError


def shift(images: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    """Move images by whole pixels; what leaves is lost, what comes in is paper (0).

    Args:
        images: (batch, height, width), any dtype.
        down: Pixels downwards; negative moves up.
        right: Pixels to the right; negative moves left.

    Returns:
        The moved images, same shape and dtype; the input is not changed.

    Example:
        >>> shift(np.array([[[1, 2], [3, 4]]]), down=1, right=0).tolist()
        [[[0, 0], [1, 2]]]
        >>> shift(np.array([[[1, 2], [3, 4]]]), down=0, right=-1).tolist()
        [[[2, 0], [4, 0]]]
    """
    height, width = images.shape[1:3]
    moved = np.zeros_like(images)
    rows, columns = max(0, height - abs(down)), max(0, width - abs(right))
    to_row, to_column = max(0, down), max(0, right)
    from_row, from_column = max(0, -down), max(0, -right)
    if rows and columns:
        moved[:, to_row : to_row + rows, to_column : to_column + columns] = images[
            :, from_row : from_row + rows, from_column : from_column + columns
        ]
    return moved


class StopEarly(keras.callbacks.Callback):  # type: ignore[misc]
    """End training when the validation loss no longer improves, and keep the best weights.

    Keras' own `EarlyStopping(patience=…, restore_best_weights=True)` does the same. A loss that is
    not a number is no new best; where no epoch has a best, the last weights stay. A stop that
    another callback asked for stays asked for.

    Args:
        patience: Epochs in a row without a new best after which training stops.

    Attributes:
        best: The lowest validation loss so far.

    Raises:
        ParameterError: `patience` is not positive.
    """

    def __init__(self, patience: int = 2) -> None:
        """Begin without a best."""
        super().__init__()
        if patience < 1:
            raise ParameterError(f"patience is {patience}. Expected at least 1 epoch. Try 2.")
        self.patience = patience
        self.best, self.waited = float("inf"), 0
        self.weights: list[NDArray[Any]] | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the weights of a new best; else wait, and stop when patience is over."""
        loss = (logs or {})["val_loss"]
        if loss < self.best:
            self.best, self.waited, self.weights = loss, 0, self.model.get_weights()
        else:
            self.waited += 1
            self.model.stop_training |= self.waited >= self.patience

    def on_train_end(self, logs: Any = None) -> None:
        """Put the best weights back."""
        if self.weights is not None:
            self.model.set_weights(self.weights)
