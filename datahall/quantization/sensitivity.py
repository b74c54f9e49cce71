"""Which layer may lose which bits? Choices of bits, what they cost, and a search within a budget.

Reading order: `Choice`, `descend` (take bits away one by one, the cheapest first), `spend` (until
the file fits). The network itself is a function here, `probe`; its file another, `size_of`: see
`bitfile`. Nothing here needs TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from datahall.errors import ParameterError
from datahall.quantization.bitfile import MENU

Bits = dict[str, int]
"""Of a code, by the layer's name."""


@dataclass(frozen=True)
class Choice:
    """Bits for each layer, and what was measured with them.

    Attributes:
        bits: Of a code, by layer.
        size_bytes: Of the file.
        loss: On the images that the search may look at.
    """

    bits: Bits
    size_bytes: int
    loss: float


def descend(
    layers: Iterable[str], size_of: Callable[[Bits], int], probe: Callable[[Bits], float]
) -> Iterator[Choice]:
    """Yield choices from 8 bits everywhere down to 2, each one bit below the one before.

    Of all layers, that one gives up a bit where the loss rises least for each byte saved, measured
    with the bits that the others have by then.

    Args:
        layers: Their names.
        size_of: Returns the bytes of the file of a choice.
        probe: Returns the loss of a choice.

    Raises:
        ParameterError: There are no layers.

    Example:
        >>> harm = {"first": 5.0, "last": 1.0}
        >>> steps = descend(
        ...     harm,
        ...     lambda bits: 10 * sum(bits.values()),
        ...     lambda bits: sum(harm[name] * 2.0**-count for name, count in bits.items()),
        ... )
        >>> [(*choice.bits.values(), choice.size_bytes) for choice in list(steps)[:3]]
        [(8, 8, 160), (8, 7, 150), (8, 6, 140)]
    """
    bits = dict.fromkeys(layers, MENU[-1])
    if not bits:
        raise ParameterError("There are no layers. Expected their names, at least one.")
    now = Choice(bits, size_of(bits), probe(bits))
    yield now
    while any(count > MENU[0] for count in now.bits.values()):
        tried = [
            now.bits | {name: count - 1} for name, count in now.bits.items() if count > MENU[0]
        ]
        choices = [Choice(each, size_of(each), probe(each)) for each in tried]
        now = min(choices, key=lambda each, now=now: _price(now, each))  # type: ignore[misc]
        yield now


def spend(
    layers: Iterable[str],
    budget_bytes: int,
    size_of: Callable[[Bits], int],
    probe: Callable[[Bits], float],
) -> Bits:
    """Return the bits of the first step of `descend` whose file fits.

    Args:
        layers: Their names.
        budget_bytes: What the file may have.
        size_of: Returns the bytes of the file of a choice.
        probe: Returns the loss of a choice.

    Raises:
        ParameterError: 2 bits everywhere do not fit either.

    Example:
        >>> spend(["a"], 50, lambda bits: 10 * bits["a"], lambda bits: 2.0 ** -bits["a"])
        {'a': 5}
    """
    choice = None
    for choice in descend(layers, size_of, probe):
        if choice.size_bytes <= budget_bytes:
            return choice.bits
    least = choice.size_bytes if choice else 0
    raise ParameterError(
        f"budget_bytes is {budget_bytes}. Expected {least} at least: that is the file with "
        f"{MENU[0]} bits everywhere. Allow more, or take a smaller network."
    )


def _price(now: Choice, then: Choice) -> float:
    saved = now.size_bytes - then.size_bytes
    return (then.loss - now.loss) / saved if saved > 0 else float("inf")
