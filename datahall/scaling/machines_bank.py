"""Answers to the exercises of module 05's lab on several machines."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from datahall.checking import Bank, Slip, Wrong
from datahall.scaling import machines_answers

# A bank is a table: what slips, what is said, which idea it reveals.
# fmt: off

_COMPUTED, _GAIN = "times[:, :, 1] - times[:, :, 0]", "np.maximum(own - others.max(axis=0), 0)"
_MOST, _MEAN = "(gain > 0).mean() > 0.5", "gain.mean()"

STRAGGLER = Bank.of(
    "05.5",
    {"np": np},
    right=[machines_answers.by_waiting],
    wrong=[
        Slip({_COMPUTED: "times[:, :, 2] - times[:, :, 1]"},
             "Who waits longest in the all-reduce is held up: look at who computes longest.",
             "blames the rank with the longest all-reduce"),
        Slip({_COMPUTED: "times[:, :, 1]"},
             "Clocks have different zeros: compare durations, never moments of two clocks.",
             "compares moments of different clocks"),
        Slip({_GAIN: "np.maximum(own - others.mean(axis=0), 0)"},
             "The step still waits for the slowest other rank, not for the mean of the others.",
             "compares with the mean of the others"),
        Slip({_GAIN: "own - others.max(axis=0)"},
             "Where another rank is last, nothing is gained: count 0 there, not less.",
             "negative gains"),
        Slip({_MEAN: "gain[gain > 0].mean()"},
             "The mean goes over all steps, also those in which another rank is last.",
             "averages over its own steps only"),
        Slip({_MEAN: "gain.sum()"}, "What the mean step loses was asked for, not all steps.",
             "sums over the steps"),
        Slip({"> 0.5": ">= 0.5"}, "Half of the steps is not more than half.", "half is enough"),
        Slip({_MOST: "(own >= others.max(axis=0)).mean() > 0.5"},
             "Of two ranks that are equally late, neither alone holds the others up.",
             "counts ties"),
        Slip({_MOST: "own.mean() > others.mean(axis=1).max()"},
             "One long pause makes a large mean: count the steps in which a rank is last.",
             "the largest mean"),
        Slip({_MOST: "(gain > 0).sum() > len(gain) / len(times)"},
             "More than half of the steps were asked for, not more than the others.",
             "more often than by chance"),
    ],
)

_LOST = "now = waiting.pop(0) + restart"

FINISH_S = Bank.of(
    "05.6",
    {},
    right=[machines_answers.piece_by_piece],
    wrong=[
        Slip({"rest if rest": "rest + write if rest"},
             "When the work is done the job ends: no checkpoint is written.", "writes at the end"),
        Slip({"rest <= interval": "rest < interval"},
             "If the rest is just one interval, the job is done with it: no checkpoint.",
             "writes at the end when the work divides"),
        Slip({"waiting[0] < end": "waiting[0] <= end"},
             "What ends at the very moment of a loss has ended.", "a loss at the end of a write"),
        Slip({" + restart": ""}, "After a loss nothing is done for `restart` seconds.",
             "forgets the restart"),
        Slip({_LOST: "waiting.pop(0)\n            now += restart"},
             "What was done since the last checkpoint has to be done again.", "nothing is lost"),
        Slip({_LOST: f"{_LOST}\n            saved = 0"},
             "Not everything is lost: go on from the last checkpoint.", "begins from zero"),
        Slip({"while True:": "while True:\n        waiting = [loss for loss in waiting if loss >= "
              "now]"},
             "A loss during a restart begins the restart again.", "ignores losses in a restart"),
        Slip({_LOST: "saved += interval * (rest > interval and waiting[0] >= now + interval)\n"
              f"            {_LOST}"},
             "A checkpoint that is still being written cannot be loaded.",
             "counts an unfinished checkpoint"),
        Slip({" + write": ""}, "The job stops while a checkpoint is written.", "writing is free"),
        Slip({"return end": "return end + restart * len(waiting)"},
             "A loss after the end costs nothing.", "pays for losses after the end"),
        Wrong(machines_answers.on_average,
              "Half an interval is what a loss costs on average: replay these losses.",
              "the formula in place of the losses"),
    ],
)

_AHEAD, _PAIR = "min(stages - 1 - stage, microbatches)", '("F", number), ("B", number - ahead)'

ORDER = Bank.of(
    "05.7",
    {},
    right=[machines_answers.first_what_can],
    wrong=[
        Slip({_AHEAD: "microbatches"},
             "All forward passes first keep every microbatch: go backward as soon as you can.",
             "all forward first"),
        Slip({_AHEAD: "0"},
             "One microbatch at a time lets every other stage idle: go ahead with the next ones.",
             "one at a time"),
        Slip({_AHEAD: "min(max(stages - 2 - stage, 0), microbatches)"},
             "A stage waits although a forward pass could fill the time: warm up by one more.",
             "the warm-up is one short"),
        Slip({_AHEAD: "min(stages - stage, microbatches)"},
             "One forward pass too many before the first backward pass.",
             "the warm-up is one long"),
        Slip({_AHEAD: "stages - 1 - stage"}, "There may be fewer microbatches than stages.",
             "a warm-up longer than the batch"),
        Slip({_AHEAD: "min(stage, microbatches)"},
             "Stage 0 is furthest from the end: it goes ahead most, the last stage not at all.",
             "the warm-up grows with the stage"),
        Slip({_AHEAD: "min(stages - 1, microbatches)"},
             "The last stage can go backward at once: how far ahead depends on the stage.",
             "the same warm-up for all"),
        Slip({_PAIR: '("B", number - ahead), ("F", number)'},
             "The last stage cannot go backward before it has gone forward: F first, then B.",
             "backward before forward"),
        Slip({_PAIR: '("F", number), ("B", number)'},
             "The oldest microbatch goes backward first: it comes back from the next stage first.",
             "backward of what has just gone forward"),
        Slip({" + [(\"B\", number) for number in range(microbatches - ahead, microbatches)]": ""},
             "What was begun in the warm-up is left over at the end: send it backward too.",
             "no cool-down"),
        Slip({"passes + [": "passes[::-1] + ["},
             "A pass comes after what it needs: look at the order in time.", "reversed"),
        Wrong(machines_answers.from_one,
              "Microbatches are numbered from 0.", "counts from 1"),
    ],
)

_SAVE = 'np.savez(unfinished, **state)\n        unfinished.replace(self.folder / "state.npz")'
_GIVE = "{name: stored[name] for name in stored.files}"
_BETWEEN = "Between removing the old file and naming the new one there is none: replace it."

CHECKPOINT = Bank.of(
    "05.8",
    {"np": np, "Path": Path, "shutil": shutil},
    right=[machines_answers.Slots],
    wrong=[
        Slip({_SAVE: 'np.savez(self.folder / "state.npz", **state)'},
             "While the old file is overwritten there is no whole one: write beside it.",
             "writes in place"),
        Slip({"unfinished.replace(": '(self.folder / "state.npz").unlink(missing_ok=True)\n        '
              "unfinished.rename("}, _BETWEEN, "removes the old file first"),
        Slip({"unfinished.replace(": "shutil.copy(unfinished, "},
             "A copy is written piece by piece: rename the finished file.", "copies"),
        Wrong(machines_answers.FileEach,
              "Renaming several files is several moments: put all arrays into one file.",
              "a file for each array"),
        Wrong(machines_answers.MarkFirst,
              "The mark says newest before the file is there: write it last.",
              "the mark first"),
        Wrong(machines_answers.OpenRename,
              "What was written stands in a buffer until the file is closed: close, then rename.",
              "renames before it closes"),
        Slip({'path = self.folder / "state.npz"': 'path = self.folder / "unfinished.npz"\n        '
              'path = path if path.exists() else self.folder / "state.npz"'},
             "A file that is still being written is not whole: load only what was renamed.",
             "loads the unfinished file"),
        Slip({"unfinished = ": '(self.folder / "busy").touch(exist_ok=False)\n'
              '        unfinished = ',
              '/ "state.npz")\n\n': '/ "state.npz")\n        (self.folder / "busy").unlink()\n\n'},
             "A killed save leaves its files: the next one has to start in spite of them.",
             "a lock that a killed process keeps"),
        Slip({"if not path.exists():\n            return None\n        ": ""},
             "Nothing was saved yet: return None.", "no first time"),
        Slip({_GIVE: "{name: stored[name].astype(float) for name in stored.files}"},
             "A whole number that comes back as float64 is another training: keep the type.",
             "changes types"),
        Slip({"**state": 'weights=state.get("weights", 0)'},
             "Without momentum and position in the data the training goes another way: keep all.",
             "keeps the weights only"),
        Wrong(machines_answers.BackUp,
              "After a kill the file may be torn and the backup the only whole one: do not "
              "replace it by the torn one.",
              "moves a torn file over its backup"),
        Wrong(machines_answers.AsText,
              "As text, 9 comes after 10: compare numbers.",
              "sorts numbers as text"),
    ],
)
