"""Membership inference: was this image in the training data? Told from how sure the model is.

Reading order: `loss_of` (how surprised a model is by an image's label), `auc` (how well a number
tells two groups apart), `advantage` (the best threshold).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datahall.errors import ParameterError

LEAST = 1e-12  # a probability that a logarithm is taken of


def loss_of(scores: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Return the cross-entropy of each image: low for what the model is sure of.

    Args:
        scores: (n, classes), probabilities as the service gives them.
        labels: (n,), the right ones.

    Returns:
        (n,), nats.

    Example:
        >>> loss_of(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([0, 1])).round(3).tolist()
        [0.693, -0.0]
    """
    shares = scores[np.arange(len(labels)), labels].astype(np.float64)
    return np.asarray(-np.log(np.clip(shares, LEAST, 1.0)))


def auc(members: NDArray[Any], others: NDArray[Any]) -> float:
    """Return how often a member has a lower loss than another image; ties count half.

    0.5 says that the number tells nothing, 1 that it tells all.

    Args:
        members: Losses of images that were trained on, (n,).
        others: Losses of images that were not, (m,).

    Raises:
        ParameterError: A group is empty.

    Example:
        >>> auc(np.array([0.1, 0.2]), np.array([0.2, 0.9]))
        0.875

    Source:
        Hanley and McNeil (1982), "The meaning and use of the area under a ROC curve": the area is
        the probability of a right order of a pair (Mann and Whitney's U).
    """
    if not len(members) or not len(others):
        raise ParameterError("A group has no images. Two groups were expected.")
    ordered = np.sort(others)
    above = len(others) - np.searchsorted(ordered, members, side="right")
    level = np.searchsorted(ordered, members, side="right") - np.searchsorted(ordered, members)
    return float((above + level / 2).sum() / (len(members) * len(others)))


def advantage(members: NDArray[Any], others: NDArray[Any]) -> float:
    """Return the largest difference between hits and false alarms over all thresholds.

    Args:
        members: Losses of images that were trained on, (n,).
        others: Losses of images that were not, (m,).

    Returns:
        0 (no threshold helps) to 1.

    Example:
        >>> advantage(np.array([0.1, 0.2]), np.array([0.2, 0.9]))
        0.5

    Source:
        Yeom et al. (2018), "Privacy risk in machine learning", definition 4.
    """
    cuts = np.unique(np.concatenate([members, others]))
    hits = np.searchsorted(np.sort(members), cuts, side="right") / len(members)
    alarms = np.searchsorted(np.sort(others), cuts, side="right") / len(others)
    return float(np.max(hits - alarms, initial=0.0))
