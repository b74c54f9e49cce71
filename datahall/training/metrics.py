"""What a classifier's result is worth: metrics from a confusion matrix, and their uncertainty.

Reading order: `confusion_matrix`, then `accuracy`, `precision`, `recall`, `f1` on it, then
`roc_curve` and `area_under_curve` for scores, then `wilson_interval` for the doubt that remains.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datahall.errors import ShapeError, UnitError

Z_95 = 1.959963984540054
"""Standard normal quantile of 0.975: the z of a two-sided 95 % interval."""


def confusion_matrix(
    labels: ArrayLike, predictions: ArrayLike, *, classes: int = 10
) -> NDArray[np.int64]:
    """Count every pair of true and predicted class.

    Args:
        labels: True classes, (batch,), integers in 0 … classes − 1.
        predictions: Predicted classes, (batch,), integers in the same range.
        classes: Number of classes.

    Returns:
        (classes, classes), int64. Row: the true class. Column: the predicted class.

    Raises:
        ShapeError: The two arrays differ in shape or are not one-dimensional.
        UnitError: A class is negative, too large, or not an integer.

    Example:
        >>> confusion_matrix([0, 0, 1, 1], [0, 1, 1, 1], classes=2)
        array([[1, 1],
               [0, 2]])
    """
    true, predicted = np.asarray(labels), np.asarray(predictions)
    if true.ndim != 1 or true.shape != predicted.shape:
        raise ShapeError(
            f"labels have shape {true.shape} and predictions {predicted.shape}. "
            "Both must be (batch,), with one class for each example; use argmax on probabilities."
        )
    for name, values in (("labels", true), ("predictions", predicted)):
        if values.size and (values.dtype.kind not in "iu" or not _inside(values, classes)):
            raise UnitError(
                f"{name} hold {values.dtype} values from {values.min()} to {values.max()}. "
                f"Expected integers from 0 to {classes - 1}. Give class numbers, not probabilities."
            )
    cells = true.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def accuracy(confusion: ArrayLike) -> float:
    """Return the share of examples that are classified rightly.

    Input shape: (classes, classes), true class by predicted class.

    Example:
        >>> accuracy([[1, 1], [0, 2]])
        0.75
    """
    counts = _square(confusion)
    return float(np.trace(counts) / counts.sum())


def precision(confusion: ArrayLike) -> NDArray[np.float64]:
    """Return, for each class, the share of its predictions that are right.

    Args:
        confusion: (classes, classes), rows true, columns predicted.

    Returns:
        (classes,), float64; 0 for a class that was never predicted, as scikit-learn does.

    Raises:
        ShapeError: The matrix is not square.

    Example:
        >>> precision([[1, 1], [0, 3]]).tolist()
        [1.0, 0.75]
    """
    counts = _square(confusion)
    return _share(np.diag(counts), counts.sum(axis=0))


def recall(confusion: ArrayLike) -> NDArray[np.float64]:
    """Return, for each class, the share of its examples that were found.

    Args:
        confusion: (classes, classes), rows true, columns predicted.

    Returns:
        (classes,), float64; 0 for a class without examples.

    Raises:
        ShapeError: The matrix is not square.

    Example:
        >>> recall([[1, 1], [0, 3]]).tolist()
        [0.5, 1.0]
    """
    counts = _square(confusion)
    return _share(np.diag(counts), counts.sum(axis=1))


def f1(confusion: ArrayLike) -> NDArray[np.float64]:
    """Return, for each class, the harmonic mean of precision and recall.

    Args:
        confusion: (classes, classes), rows true, columns predicted.

    Returns:
        (classes,), float64; 0 where both are 0.

    Raises:
        ShapeError: The matrix is not square.

    Example:
        >>> f1([[1, 1], [0, 2]]).round(4).tolist()
        [0.6667, 0.8]

    Source:
        van Rijsbergen (1979), "Information Retrieval", chapter 7 (effectiveness, with α = ½).
    """
    counts = _square(confusion)
    return _share(2 * np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1))


def scores(confusion: ArrayLike, digit: int) -> tuple[float, float, float]:
    """Return precision, recall and F1 of one class.

    Args:
        confusion: (classes, classes), rows true, columns predicted.
        digit: The class.

    Returns:
        Three shares, 0 … 1; 0 where there is nothing to divide by.

    Raises:
        ShapeError: The matrix is not square.

    Example:
        >>> scores([[3, 1], [2, 4]], 1)
        (0.8, 0.6666666666666666, 0.7272727272727273)
    """
    values = (precision(confusion)[digit], recall(confusion)[digit], f1(confusion)[digit])
    return float(values[0]), float(values[1]), float(values[2])


def roc_curve(
    positives: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the receiver operating characteristic: each threshold's two rates.

    An example counts as *alarm* when its score is at least the threshold. Equal scores share one
    threshold, so the order of the examples has no influence.

    Args:
        positives: True where the class is present, (batch,), bool.
        scores: The higher, the more likely, (batch,), any real numbers without NaN.

    Returns:
        False positive rate, true positive rate, thresholds (falling, the first infinite), each
        (thresholds,), float64.

    Raises:
        ShapeError: The arrays differ in shape.
        UnitError: One of the two groups is empty, so that a rate has no meaning, or a score is NaN.

    Example:
        >>> false_rate, true_rate, _ = roc_curve([False, True, False, True], [0.1, 0.4, 0.35, 0.8])
        >>> false_rate.tolist(), true_rate.tolist()
        ([0.0, 0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0, 1.0])

    Source:
        Fawcett (2006), "An introduction to ROC analysis", algorithm 1.
    """
    truth, values = np.asarray(positives, bool), np.asarray(scores, np.float64)
    if truth.ndim != 1 or truth.shape != values.shape:
        raise ShapeError(
            f"positives have shape {truth.shape} and scores {values.shape}. Both must be (batch,)."
        )
    if truth.all() or not truth.any() or np.isnan(values).any():
        raise UnitError(
            f"{truth.sum()} of {truth.size} examples are positive, {np.isnan(values).sum()} scores "
            "are NaN. A ROC curve needs both groups and a number for each. Use a larger sample."
        )
    order = np.argsort(-values, kind="stable")
    truth, values = truth[order], values[order]
    last = np.r_[np.flatnonzero(np.diff(values)), truth.size - 1]  # last place of each equal score
    found = np.cumsum(truth)[last]
    alarms = last + 1 - found
    true_rate = np.r_[0.0, found / found[-1]]
    false_rate = np.r_[0.0, alarms / alarms[-1]]
    return false_rate, true_rate, np.r_[np.inf, values[last]]


def area_under_curve(x: ArrayLike, y: ArrayLike) -> float:
    """Return the area under a piecewise linear curve, by the trapezoid rule.

    Under a ROC curve it is the probability that a positive example scores above a negative one.

    Args:
        x: Places, (points,), never falling.
        y: Heights, (points,).

    Raises:
        UnitError: `x` falls somewhere.

    Example:
        >>> area_under_curve([0.0, 0.5, 1.0], [0.0, 1.0, 1.0])
        0.75
    """
    places, heights = np.asarray(x, np.float64), np.asarray(y, np.float64)
    widths = np.diff(places)
    if (widths < 0).any():
        raise UnitError("x falls somewhere. Expected places in rising order. Sort the points by x.")
    return float((widths * (heights[1:] + heights[:-1]) / 2).sum())


def wilson_interval(successes: int, trials: int, *, z: float = Z_95) -> tuple[float, float]:
    """Return the Wilson score interval for the probability of success.

    Unlike p ± z √(p (1 − p) / n) it stays inside 0 … 1 and holds its level near 0 and 1, where
    test accuracies live.

    Args:
        successes: Number of right answers.
        trials: Number of answers.
        z: Quantile of the standard normal distribution; 1.96 gives 95 %.

    Returns:
        Lower and upper bound.

    Raises:
        UnitError: The counts are impossible.

    Example:
        >>> low, high = wilson_interval(98, 100)
        >>> round(low, 4), round(high, 4)
        (0.93, 0.9945)

    Source:
        Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    if not 0 <= successes <= trials or trials < 1:
        raise UnitError(
            f"{successes} successes in {trials} trials. Expected 0 ≤ successes ≤ trials and at "
            "least one trial. Count right answers and all answers of the same test."
        )
    share = successes / trials
    weight = 1 + z**2 / trials
    middle = (share + z**2 / (2 * trials)) / weight
    half = z / weight * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _inside(values: NDArray[Any], classes: int) -> bool:
    return bool(values.min() >= 0 and values.max() < classes)


def _square(confusion: ArrayLike) -> NDArray[np.int64]:
    counts = np.asarray(confusion)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ShapeError(
            f"the confusion matrix has shape {counts.shape}. Expected (classes, classes), rows "
            "true and columns predicted. Make it with confusion_matrix."
        )
    return counts


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole != 0)
