"""Answers to the exercises of module 05's first lab, on all-reduce and its limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from datahall.checking import Bank, Slip

# A bank is a table: what slips, what is said, which idea it reveals.
# fmt: off
_NAMES = {"np": np}


def _one_division(gradients: list[Any], examples: list[int]) -> Any:
    pairs = [(n, g) for n, g in zip(examples, gradients, strict=True) if n]
    return np.average([g for _, g in pairs], axis=0, weights=[n for n, _ in pairs])


_WEIGH, _MEAN = "count * gradient", "total / sum(examples)"

MERGE = Bank.of(
    "05.1",
    _NAMES,
    right=[_one_division],
    wrong=[
        Slip({_WEIGH: "gradient", _MEAN: "total / sum(count > 0 for count in examples)"},
             "Three images count three times: weight each mean with its number of images.",
             "averages the devices, not the images"),
        Slip({_WEIGH: "gradient", _MEAN: "total / len(examples)"},
             "A device without images is no image: divide by images, not by devices.",
             "divides by all devices"),
        Slip({_MEAN: "total"}, "That is the sum over all images: divide by how many there are.",
             "sums and does not divide"),
        Slip({_MEAN: "total / sum(examples) / len(examples)"},
             "You divide twice: by the images once, and by the devices again.", "divides twice"),
        Slip({"if count > 0": "if True"},
             "0 · NaN is NaN: leave out a device that had no image.", "weights NaN with zero"),
        Slip({_WEIGH: "gradient"}, "Turn each mean back into a sum before you add.",
             "adds means, divides by images"),
    ],
)


def _by_share(payload: float, nodes: int, per_node: int, link: float, measured: float) -> Any:
    def ring(members: int) -> float:
        return 2 * (1 - 1 / members) * (payload / per_node) / link

    said = (payload / link, ring(nodes * per_node), ring(nodes))
    names = ("one card", "flat ring", "hierarchical")
    return {n: s for n, s in zip(names, said, strict=True) if 1 <= measured / s <= 1.5}


_FLAT, _TIERS = "2 * (devices - 1) / devices", "2 * (nodes - 1) / nodes"

RIVALS = Bank.of(
    "05.2",
    _NAMES,
    right=[_by_share],
    wrong=[
        Slip({_TIERS: _FLAT},
             "Between machines the ring has as many members as machines, not devices.",
             "n for k: devices in place of machines"),
        Slip({f"{_FLAT} * ": "", f"{_TIERS} * ": ""},
             "A ring sends 2 (n − 1) / n of the payload from each member.",
             "bus bandwidth read as wire speed: forgets 2 (n − 1) / n"),
        Slip({"2 * (d": "(d", "2 * (n": "(n"},
             "A ring goes round twice: once to add, once to copy.", "counts one phase"),
        Slip({"per_node * link": "link"}, "All cards of a machine carry bytes at the same time.",
             "one card where all work"),
        Slip({"least <= measured <= 1.5 * least": "measured <= 1.5 * least"},
             "Nothing is faster than its wire: a model that says more than was measured is out.",
             "keeps models slower than the measurement"),
        Slip({"least <= measured <= 1.5 * least": "least <= measured"},
             "A model that explains less than two thirds of the time is of no use: drop it.",
             "keeps models that explain little"),
        Slip({"payload / link": "payload / cards"}, "One card: no other one helps.",
             "all cards where one works"),
    ],
)


def _from_behind(rank: int, ranks: int, step: int, phase: str) -> tuple[int, int]:
    begin = {"reduce": 0, "gather": 1}[phase]
    send = [(rank + begin + ranks - back) % ranks for back in range(ranks)][step]
    return send, send - 1 if send else ranks - 1


_BEGIN = 'rank if phase == "reduce" else rank + 1'

RING_STEP = Bank.of(
    "05.3",
    _NAMES,
    right=[_from_behind],
    wrong=[
        Slip({"(first - step) %": "first %", "(first - step - 1)": "(first - 1)"},
             "After step 0 send on what you have just received, not the same piece again.",
             "always its own piece"),
        Slip({_BEGIN: "rank"},
             "When the sums are whole, rank r holds the whole of piece r + 1: gather from there.",
             "the second phase begins one piece off"),
        Slip({"(first - step - 1)": "(first - step + 1)"},
             "What you receive is what the rank before you sends: one number less than yours.",
             "receives from the wrong side"),
        Slip({"first - step": "first + step"},
             "What you send in a step is what you received in the step before.",
             "goes round the other way"),
        Slip({"return send, receive": "return receive, send"},
             "First the piece to send, then the piece to receive.", "swaps the pair"),
        Slip({" % ranks": ""}, "Pieces are numbered 0 to ranks − 1: take the rest.",
             "forgets the modulus"),
    ],
)


def _by_elimination(batches: tuple[int, int], steps: tuple[float, float]) -> float:
    (b, c), (s, t) = batches, steps
    return (t - s) / (s / c - t / b)  # S_min from both equations, set equal


_SLOPE = "(1 / batches[0] - 1 / batches[1])"

CRITICAL_BATCH = Bank.of(
    "05.4",
    _NAMES,
    right=[_by_elimination],
    wrong=[
        Slip({"slope / least": "least"}, "That is the least number of steps: go on to the batch.",
             "returns S_min"),
        Slip({"return slope / least": "return least / slope"},
             "The slope is S_min · B_crit: divide it by S_min.", "turns the fraction over"),
        Slip({_SLOPE: "(batches[1] - batches[0])", "slope / batches[0]": "slope * batches[0]"},
             "The steps are a line in 1 / b, not in b.", "a line in the batch"),
        Slip({"return slope / least": "return slope"},
             "The slope is S_min · B_crit: S_min is still in it.", "returns the slope"),
        Slip({"steps[0] - slope": "steps[0] + slope"},
             "S_min is less than the steps of any run: take the slope's share away.",
             "a sign in the intercept"),
        Slip({"return slope / least": "return round(slope / least)"},
             "Do not round: a critical batch is an estimate, not a count.", "rounds"),
    ],
)
