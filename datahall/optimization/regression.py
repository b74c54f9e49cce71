"""Linear regression by gradient descent and by the normal equation, and what conditioning costs.

Shapes: `columns` (rows, features), `targets` (rows,), `weights` (features,). The loss is the mean
squared error; its second derivative, the Hessian 2 XᵀX / n, is the same everywhere, and its
eigenvalues say how steep the bowl is along each of its axes.

Reading order: `gradient`, `normal_equation`, `descend_until`, `condition_number`,
`predicted_steps`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datahall.errors import ParameterError
from datahall.optimization.activations import Array

__all__ = [
    "Descent",
    "Scaler",
    "best_rate",
    "condition_number",
    "descend_until",
    "gradient",
    "hessian",
    "normal_equation",
    "predicted_steps",
    "r_squared",
    "with_intercept",
]


@dataclass(frozen=True)
class Scaler:
    """Mean and standard deviation of each feature, taken from the training rows only.

    Attributes:
        mean: (features,), in the feature's unit.
        deviation: (features,), in the feature's unit.

    Example:
        >>> Scaler.fit(np.array([[1.0], [3.0]])).apply(np.array([[1.0], [2.0], [3.0]]))
        array([[-1.],
               [ 0.],
               [ 1.]])
    """

    mean: Array
    deviation: Array

    @classmethod
    def fit(cls, columns: Array) -> Scaler:
        """Return the scaler of some rows.

        Input shape: (rows, features).

        Raises:
            ParameterError: A feature never changes.
        """
        deviation = columns.std(axis=0)
        if not np.all(deviation > 0):
            flat = [int(i) for i in np.flatnonzero(deviation == 0)]
            raise ParameterError(
                f"features {flat} have the same value in every row, expected them to vary. "
                "Leave them out; the intercept does their work."
            )
        return cls(columns.mean(axis=0), deviation)

    def apply(self, columns: Array) -> Array:
        """Return the columns with mean 0 and standard deviation 1 (on the rows of `fit`).

        Input and output shape: (rows, features).
        """
        return (columns - self.mean) / self.deviation


def with_intercept(columns: Array) -> Array:
    """Return the columns with a column of ones in front: (rows, features + 1).

    Input shape: (rows, features).

    Example:
        >>> with_intercept(np.array([[5.0]]))
        array([[1., 5.]])
    """
    return np.column_stack([np.ones(len(columns)), columns])


def gradient(columns: Array, targets: Array, weights: Array) -> Array:
    """Return the gradient of the mean squared error: (2/n) Xᵀ (Xw - y).

    Args:
        columns: (rows, features).
        targets: (rows,).
        weights: (features,); so is the result.

    Example:
        >>> gradient(np.array([[1.0], [2.0]]), np.array([1.0, 2.0]), np.array([2.0]))
        array([5.])
    """
    return 2.0 * columns.T @ (columns @ weights - targets) / len(targets)


def normal_equation(columns: Array, targets: Array) -> Array:
    """Return the weights with the least squared error: the solution of XᵀX w = Xᵀy.

    Input shape: columns (rows, features), targets (rows,). Output shape: (features,).

    Raises:
        numpy.linalg.LinAlgError: Two features say the same; leave one out.

    Example:
        >>> normal_equation(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([2.0, 5.0]))
        array([2., 3.])
    """
    solution = np.linalg.solve(columns.T @ columns, columns.T @ targets)
    return np.asarray(solution, dtype=float)


def r_squared(targets: Array, predictions: Array) -> float:
    """Return the share of the variance that the predictions explain; 1 is perfect, 0 is the mean.

    Input shape: both (rows,).

    Example:
        >>> r_squared(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
        0.0
    """
    return float(1 - ((targets - predictions) ** 2).sum() / ((targets - targets.mean()) ** 2).sum())


def hessian(columns: Array) -> Array:
    """Return the second derivative of the mean squared error, 2 XᵀX / n: (features, features)."""
    return 2.0 * columns.T @ columns / len(columns)


def condition_number(curvature: Array) -> float:
    """Return the largest eigenvalue of a Hessian over its smallest: how stretched the bowl is.

    Input shape: (features, features), symmetric.

    Example:
        >>> condition_number(np.diag([1.0, 100.0]))
        100.0
    """
    values = np.linalg.eigvalsh(curvature)
    return float(values[-1] / values[0])


def best_rate(curvature: Array) -> float:
    """Return the fixed rate with the fewest steps: 2 / (smallest + largest eigenvalue).

    Above 2 / largest, gradient descent diverges.

    Input shape: (features, features), symmetric.

    Example:
        >>> best_rate(np.diag([1.0, 3.0]))
        0.5

    Source:
        Polyak (1987), "Introduction to Optimization", section 1.4.2.
    """
    values = np.linalg.eigvalsh(curvature)
    return float(2.0 / (values[0] + values[-1]))


def predicted_steps(condition: float, *, tolerance: float) -> float:
    """Return how many steps the best fixed rate needs to shrink the error to a share of itself.

    Each step multiplies the error by at most (κ - 1) / (κ + 1); for large κ that is about κ/2 ·
    ln(1/tolerance).

    Args:
        condition: Condition number κ of the Hessian, at least 1.
        tolerance: The share, between 0 and 1.

    Returns:
        Steps; an upper bound, reached when the error lies along the flattest and steepest axes.

    Raises:
        ParameterError: The condition number is below 1.

    Example:
        >>> round(predicted_steps(100.0, tolerance=1e-3))
        345

    Source:
        Nocedal and Wright (2006), "Numerical Optimization", theorem 3.3 (its rate, in the norm of
        the weights).
    """
    if condition < 1:
        raise ParameterError(
            f"condition is {condition}, expected 1 or more. "
            "Divide the largest eigenvalue by the smallest."
        )
    if condition == 1:
        return 1.0
    return max(1.0, float(np.log(tolerance) / np.log((condition - 1) / (condition + 1))))


@dataclass(frozen=True)
class Descent:
    """What a gradient descent did.

    Attributes:
        weights: Where it ended, (features,).
        steps: Steps taken.
        reached: Whether the error fell to the tolerance.
    """

    weights: Array
    steps: int
    reached: bool


def descend_until(
    columns: Array,
    targets: Array,
    *,
    rate: float,
    tolerance: float = 1e-3,
    at_most: int = 1_000_000,
) -> Descent:
    """Descend from zero until the best weights are at a given share of the first distance.

    Args:
        columns: (rows, features), full rank.
        targets: (rows,).
        rate: Learning rate.
        tolerance: The share.
        at_most: Steps after which to give up.

    Returns:
        Where it ended, after how many steps, and whether the tolerance was reached.
    """
    curvature, best = hessian(columns), normal_equation(columns, targets)
    error = -best  # the gradient is curvature @ error: the rows need not be read again
    limit = tolerance * float(np.linalg.norm(error))
    for step in range(at_most + 1):
        distance = float(np.sqrt(error @ error))
        if distance <= limit:
            return Descent(best + error, step, reached=True)
        if distance > 1e12 * limit / tolerance:
            break  # it diverges
        error = error - rate * (curvature @ error)
    return Descent(best + error, step, reached=False)
