"""House prices of Ames, Iowa, in one CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datahall.datasets import files


@dataclass(frozen=True)
class Ames:
    """House prices of Ames, Iowa: 2,930 sales from 2006 to 2010; `datasets/ames` has a card.

    Attributes:
        properties: (2930, 8), float64: areas in square feet, counts, years; one column a name.
        names: The columns' names, units in them.
        price_usd: (2930,), float64, what was paid.
        digest: SHA-256 that names exactly these data.
    """

    properties: npt.NDArray[np.float64]
    names: tuple[str, ...]
    price_usd: npt.NDArray[np.float64]
    digest: str


def load() -> Ames:
    """Load the house prices of Ames, Iowa; see `Ames` for shapes and units.

    Raises:
        DataError: The file is missing or damaged, or the user's data folder cannot be written.

    Example:
        >>> houses = load()
        >>> houses.properties.shape, houses.names[0], float(houses.price_usd[0])
        ((2930, 8), 'living_sqft', 215000.0)
    """
    with files.path("ames", "ames.csv").open(newline="") as opened:
        head, *rows = csv.reader(opened)
    numbers = np.array([row[:-1] for row in rows], dtype=np.float64)
    return Ames(numbers[:, 1:], tuple(head[1:-1]), numbers[:, 0], files.digest("ames"))
