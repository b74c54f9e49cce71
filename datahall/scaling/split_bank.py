"""Answers to the exercises of module 05's lab on splitting a model."""

from __future__ import annotations

import re
from typing import Any

from datahall.checking import Bank, Slip

# A bank is a table: what slips, what is said, which idea it reveals.
# fmt: off


def _rounds(stage: int, numbers: int, ranks: int, number_bytes: int, microbatches: int) -> int:
    rounds = {0: 2, 1: 2, 2: microbatches + 1}.get(stage, 3 * microbatches)
    return rounds * numbers * number_bytes * (ranks - 1)


_GATHERS, _SCATTERS = "[1, 1, 1, 2 * microbatches]", "[1, 1, microbatches, microbatches]"

ZERO_BYTES = Bank.of(
    "05.9",
    {},
    right=[_rounds],
    wrong=[
        Slip({_GATHERS: "[1, 1, 1, 1]", _SCATTERS: "[1, 1, 1, 1]"},
             "Stage 3 gathers the weights for every pass: it sends more.",
             "all stages send the same (2Ψ)"),
        Slip({_GATHERS: "[1, 1, 1, 2]", _SCATTERS: "[1, 1, 1, 1]"},
             "Stages 2 and 3 send in every microbatch, not once a step.",
             "2Ψ and 3Ψ, whatever the microbatches"),
        Slip({_GATHERS: "[1, 1, 1, microbatches]"},
             "They are dropped after the forward pass: the backward pass gathers them again.",
             "one gather a microbatch"),
        Slip({_GATHERS: "[1, 1, 1, 2 * microbatches + 1]"},
             "With stage 3 the new weights stay where they are: nothing is gathered at the end.",
             "gathers the new weights too"),
        Slip({_SCATTERS: "[1, 1, 1, microbatches]"},
             "A rank of stage 2 keeps no whole gradient: every microbatch's is scattered at once.",
             "stage 2 scatters once"),
        Slip({_GATHERS: "[0, 1, 1, 2 * microbatches]"},
             "An all-reduce is a reduce-scatter and an all-gather: two rounds.",
             "an all-reduce is one round"),
        Slip({"(ranks - 1)": "ranks"}, "Nobody sends to itself: n − 1, not n.", "n for n − 1"),
        Slip({"(ranks - 1) * ": "(ranks - 1) / ranks * "},
             "That is what one rank sends; all of them were asked for.", "one rank's bytes"),
        Slip({" * number_bytes": ""}, "Count bytes, not numbers.", "numbers for bytes"),
    ],
)


def _by_stage(
    layers: list[int], stages: int, data: int, zero: int, outputs: int, microbatches: int
) -> int:
    size = len(layers) // stages
    held = []
    for stage in range(stages):
        whole = sum(layers[stage * size:][:size])
        bytes_each = [(2, 3), (2, 2), (12, 1)]
        state = sum(n * ((whole + data - 1) // data if zero >= least else whole)
                    for n, least in bytes_each)
        held.append(state + size * outputs * min(microbatches, stages - stage))
    return max(held)


_KEPT = "min(stages - stage, microbatches)"

DEVICE_BYTES = Bank.of(
    "05.10",
    {},
    right=[_by_stage],
    wrong=[
        Slip({_KEPT: "microbatches"},
             "1F1B keeps at most as many microbatches as stages follow, itself included.",
             "GPipe's memory"),
        Slip({_KEPT: "(stages - stage)"},
             "There may be fewer microbatches than stages: never keep more than there are.",
             "no lower bound by the microbatches"),
        Slip({_KEPT: "min(stages, microbatches)"},
             "Later stages keep fewer microbatches: stage i keeps stages − i.",
             "all stages keep what the first keeps"),
        Slip({"-(-whole // data)": "whole // data"},
             "Somebody has the longest piece: round up.", "rounds the piece down"),
        Slip({"zero >= 3": "zero >= 1", "zero >= 2": "zero >= 1"},
             "Each stage of ZeRO cuts one part more: optimizer, then gradients, then weights.",
             "every stage cuts everything"),
        Slip({"zero >= 3": "zero >= 1", "zero >= 1 else": "zero >= 3 else"},
             "Stage 1 cuts the optimizer, stage 3 the weights: not the other way round.",
             "swaps the stages"),
        Slip({"12 *": "8 *"}, "The optimizer holds float32 weights too: 12 bytes, not 8.",
             "forgets the float32 weights"),
        Slip({"most = max(most, ": "most = max(0, "},
             "Take the fullest stage, wherever it stands.", "takes the last stage"),
    ],
)


def _with_a_loop(rules: list[str], paths: list[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for path in paths:
        hits = [path] if path in rules else [r for r in rules if re.match(f"(?:{r})\\Z", path)]
        if len(hits) > 1:
            raise ValueError(path)
        found[path] = next(iter(hits), None)
    return found


_FULL = "re.fullmatch(rule, path)"

RULES_USED = Bank.of(
    "05.11",
    {},
    right=[_with_a_loop],
    wrong=[
        Slip({_FULL: "re.search(rule, path)"},
             "A rule has to match the whole path, not a piece of it: re.fullmatch.",
             "re.search, as in older tutorials"),
        Slip({_FULL: "re.match(rule, path)"},
             "re.match is content with the beginning: the whole path has to match.", "re.match"),
        Slip({_FULL: "path.endswith(rule)"},
             "A rule is a regular expression, not the end of a path.", "compares ends"),
        Slip({"if path in rules": "if False"},
             "A rule that is the path itself wins over patterns that match too.",
             "no look-up of the path itself"),
        Slip({"len(matching) > 1": "False"},
             "Two rules that match one path are an error: raise ValueError.", "takes the first"),
        Slip({"found[path] = matching[0] if matching else None":
              "if matching:\n            found[path] = matching[0]"},
             "Name the variables without a rule too, with None: they are what is looked for.",
             "leaves out what has no rule"),
    ],
)


def _with_min(
    devices: int, batch: int, layers: int, layer_bytes: float, output_bytes: float, limit: float,
    overhead: float,
) -> Any:
    best = None
    for stages in range(devices, 0, -1):
        if devices % stages or layers % stages or (batch * stages) % devices:
            continue
        share = batch * stages // devices
        for count in range(share, 0, -1):
            size, left = divmod(share, count)
            full = layers // stages * (layer_bytes + min(stages, count) * size * output_bytes)
            if left or full > limit:
                continue
            took = (count + stages - 1) * (layers // stages * size + overhead)
            if best is None or (took, stages, count) < best:
                best = (took, stages, count)
    return best and (best[1], best[2])


CHOOSE = Bank.of(
    "05.12",
    {},
    right=[_with_min],
    wrong=[
        Slip({"(microbatches + stages - 1)": "microbatches"},
             "The pipeline fills and drains: stages − 1 passes more.", "no bubble"),
        Slip({"min(stages, microbatches) * examples": "microbatches * examples"},
             "1F1B keeps min(stages, microbatches) microbatches, not all.", "GPipe's memory"),
        Slip({"min(stages, microbatches) * examples": "stages * examples"},
             "There may be fewer microbatches than stages.", "keeps more than there are"),
        Slip({"per_stage * (layer_bytes + kept)": "per_stage * layer_bytes"},
             "Layer outputs take memory too.", "forgets the outputs"),
        Slip({" + overhead)": ")"}, "Every pass has its overhead.", "forgets the overhead"),
        Slip({"<= limit": "< limit"}, "What is just full fits.", "strict limit"),
        Slip({"batch * stages % (devices * microbatches)": "batch % microbatches",
              "batch * stages // (devices * microbatches)": "batch // microbatches"},
             "The batch is shared among the pipelines.", "gives every pipeline the whole batch"),
        Slip({"layers % stages or ": ""},
             "Stages take equally many layers: they divide the layers too.",
             "stages that do not divide the layers"),
        Slip({"min(fitting)[1:] if fitting else None": "min(fitting, key=lambda one: one[1:])[1:] "
              "if fitting else None"},
             "The fastest counts first, then the fewest stages.", "the fewest stages that fit"),
        Slip({"min(fitting)": "max(fitting)"}, "The least time wins.", "takes the slowest"),
    ],
)
