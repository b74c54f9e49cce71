"""Rules about outputs: one clean run, nothing of this machine, pictures with words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

from nbformat import NotebookNode

from datahall.course.notebooks.structure.subject import Fault, Rule, Subject, is_guess, tags

PICTURE_BYTES = 40_000
FILE_BYTES = 250_000
IGNORED_SHARE, IGNORED_SHARE_OF_COST = 0.25, 0.40
LEAKS = {
    "a path of this machine": re.compile(
        r"(?<![\w/.])/(home|Users|tmp|root|var|work|private)/\w|\b[A-Z]:\\\w"
    ),
    "an address in memory": re.compile(r"\b0x[0-9a-f]{8,}\b"),
    "the repr of an object": re.compile(
        r"<[\w.]+ (object )?at 0x|<Figure size|<Axes: |<matplotlib\."
    ),
}
_ASKED = re.compile(r"(?m)^(\w+) = (?:predictions\.)?guess\(")
_REVEALED = re.compile(r"(?m)^(?:measured|computed) +(\S+)(?: (\S+))?")
_MARKUP = re.compile(r"<[^>]+>")
VIEW = "application/vnd.jupyter.widget-view+json"


def counts_run_from_one(subject: Subject) -> Iterator[Fault]:
    """Lectures and solutions are stored after one clean run; labs without outputs."""
    counts = [cell.execution_count for cell in subject.code]
    if subject.kind == "lab":
        if any(counts) or any(cell.outputs for cell in subject.code):
            yield Fault("a lab carries no outputs and no counts. Run `datahall labs build`.")
    elif counts != list(range(1, len(counts) + 1)):
        yield Fault(
            f"the execution counts are {_short(counts)}. Expected 1 to {len(counts)}: "
            "run it once from the top (make notebook)."
        )


def ran_without_noise(subject: Subject) -> Iterator[Fault]:
    """No error, nothing on standard error, no path or address of the machine that ran it."""
    for cell in subject.code:
        for output in cell.outputs:
            if output.output_type == "error":
                yield Fault(f"it stores an error ({output.ename}). Use expect_error(...).", cell.id)
            elif output.get("name") == "stderr":
                noise = output.text[:60]
                yield Fault(f"it writes to standard error: {noise!r}. Silence the source.", cell.id)
            shown = text_of_output(output)
            leaks = {what: found for what, leak in LEAKS.items() if (found := leak.search(shown))}
            for what, found in leaks.items():
                yield Fault(f"its output shows {what}: {found[0]!r}. Show a name.", cell.id)


def pictures_are_small_and_described(subject: Subject) -> Iterator[Fault]:
    """A picture is small, says in text what it shows, and prose follows it."""
    for cell in subject.code:
        pictures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        for output in pictures:
            size = len(output.data["image/png"]) * 3 // 4
            if size > PICTURE_BYTES:
                limit = PICTURE_BYTES // 1000
                yield Fault(
                    f"its picture has {size // 1000} kB. Expected at most {limit}.", cell.id
                )
            if len(str(output.data.get("text/plain", ""))) < 20:
                yield Fault("its picture is not described. Use plotting.describe(...).", cell.id)
        following = subject.after(cell)
        if pictures and (following is None or following.cell_type != "markdown"):
            yield Fault("its picture is not followed by prose. Say what one sees in it.", cell.id)


def widgets_have_twins(subject: Subject) -> Iterator[Fault]:
    """A widget's output is not stored; the next code cell shows the same at one fixed setting."""
    if subject.kind != "lecture":
        return
    names = [cell.get("id") for cell in subject.code]
    for cell in subject.code:
        if any(VIEW in output.get("data", {}) for output in cell.outputs):
            yield Fault("it stores a widget. Tag it widget and run `make fix`.", cell.id)
        if "widget" not in tags(cell):
            continue
        if "nbval-ignore-output" not in tags(cell):
            yield Fault("it has the tag widget but not nbval-ignore-output.", cell.id)
        if cell.source.rstrip().endswith(".box"):
            yield Fault(
                "it shows the bare box of a panel. Show the panel: it leaves more.", cell.id
            )
        twin, place = f"{cell.id}-fixed", names.index(cell.id) + 1
        if not is_guess(cell) and names[place : place + 1] != [twin]:
            yield Fault(
                f"the next code cell must be {twin}: the same at one setting, seen by nbval.",
                cell.id,
            )


def predictions_are_not_spoiled(subject: Subject) -> Iterator[Fault]:
    """Between a guess and its reveal no output shows the answer; guesses are not shown themselves.

    The answer is read from the stored reveal, at the digits shown there. One of a digit or two
    stands in many outputs by chance: it is looked for with its unit.
    """
    for place, cell in enumerate(subject.code):
        for name in _ASKED.findall(cell.source):
            if cell.source.rstrip().endswith(f"\n{name}"):
                yield Fault(f"its last line shows {name} under its question.", cell.id)
            yield from _spoilers(name, cell.id, subject.code[place + 1 :])


def _spoilers(name: str, asked: str, later: list[NotebookNode]) -> Iterator[Fault]:
    """Find the cells after a question that show its answer before the reveal."""
    until = [place for place, cell in enumerate(later) if f"{name}.reveal(" in cell.source]
    if not until:
        yield Fault(f"{name} is never revealed.", asked)
        return
    answers = _answers(later[until[0]])
    for cell in later[: until[0]]:
        said = "\n".join(text_of_output(output) for output in cell.outputs)
        if any(answer.search(_MARKUP.sub(" ", said)) for answer in answers):
            yield Fault(f"it shows the answer before {name}.reveal(...).", cell.id)


def _answers(reveal: NotebookNode) -> list[re.Pattern[str]]:
    """Return what would give away the answers that a stored reveal shows."""
    found = []
    for output in reveal.outputs:
        text = str(output.get("data", {}).get("text/plain", output.get("text", "")))
        for value, unit in _REVEALED.findall(text):
            many = len(re.sub(r"\D", "", value).lstrip("0")) > 2
            shown = re.escape(value) if many or not unit else rf"{re.escape(value)}\s{unit}"
            found.append(re.compile(rf"(?<![\d.,]){shown}(?![.,]?\d)"))
    return found


def outputs_are_compared(subject: Subject) -> Iterator[Fault]:
    """At most a quarter of the cells hide their output from nbval; 40 % where time is the topic."""
    if subject.kind == "lab":
        return
    plain = [cell for cell in subject.code if "widget" not in tags(cell)]
    ignored = [cell.id for cell in plain if _is_ignored(cell)]
    about_cost = subject.row is not None and subject.row.about_cost
    limit = IGNORED_SHARE_OF_COST if about_cost else IGNORED_SHARE
    if len(ignored) > limit * len(plain):
        yield Fault(
            f"{len(ignored)} of {len(plain)} code cells hide their output from nbval "
            f"({', '.join(ignored)}). Expected at most {limit:.0%}: state a bound with expect(...)."
        )


def file_is_small(subject: Subject) -> Iterator[Fault]:
    """A notebook file stays readable in a review."""
    size = subject.path.stat().st_size
    if size > FILE_BYTES:
        yield Fault(f"the file has {size // 1000} kB. Expected at most {FILE_BYTES // 1000}.")


def text_of_output(output: NotebookNode) -> str:
    """Return what a reader sees of an output as text."""
    if output.output_type == "stream":
        return cast(str, output.text)
    data = output.get("data", {})
    kinds = ("text/plain", "text/html", "text/markdown")
    return "\n".join(str(data.get(kind, "")) for kind in kinds)


def _is_ignored(cell: NotebookNode) -> bool:
    return "nbval-ignore-output" in tags(cell) or "NBVAL_" in cell.source


def _short(counts: list[int | None]) -> str:
    shown = ", ".join("-" if count is None else str(count) for count in counts[:12])
    return shown + (", …" if len(counts) > 12 else "")


RULES: tuple[Rule, ...] = (
    counts_run_from_one,
    ran_without_noise,
    pictures_are_small_and_described,
    widgets_have_twins,
    predictions_are_not_spoiled,
    outputs_are_compared,
    file_is_small,
)
