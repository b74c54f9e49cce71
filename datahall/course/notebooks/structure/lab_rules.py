"""Rules about labs and solutions: stub, check, hints and use of each exercise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from nbformat import NotebookNode

from datahall.course.labs.exercises import BEGIN, END
from datahall.course.notebooks.normalise import CHECK, EXERCISE
from datahall.course.notebooks.structure.subject import Fault, Rule, Subject, tree

TASK = re.compile(r"difficulty [1-5]/5 · about \d+ minutes")


def parts_are_complete(subject: Subject) -> Iterator[Fault]:
    """An exercise is a stub, its check right after, hints, and a cell that uses the answer."""
    order = [cell.get("id", "") for cell in subject.cells]
    for cell in _exercises(subject):
        number = cell.id.removeprefix("exercise-")
        wanted = [f"{part}-{number}" for part in ("exercise", "check", "hints", "use")]
        if missing := [name for name in wanted if name not in order]:
            yield Fault(f"its cells {', '.join(missing)} are missing.", cell.id)
        elif [order.index(name) for name in wanted] != sorted(order.index(name) for name in wanted):
            yield Fault(f"its cells are not in the order {', '.join(wanted)}.", cell.id)
        elif order.index(wanted[1]) != order.index(wanted[0]) + 1:
            yield Fault("its check must be the next cell.", cell.id)


def tasks_are_stated(subject: Subject) -> Iterator[Fault]:
    """Before the stub stands the task: a heading with its number, its difficulty, its minutes."""
    for cell, before in _with_cell_before(subject):
        number = cell.id.removeprefix("exercise-").replace("-", ".")
        task = before.source if before is not None and before.cell_type == "markdown" else ""
        if f"## Exercise {number} " not in task:
            yield Fault(f"the cell before it must be headed '## Exercise {number}  …'.", cell.id)
        elif not TASK.search(task):
            yield Fault("its task lacks 'difficulty 2/5 · about 10 minutes'.", cell.id)


def stubs_are_fair(subject: Subject) -> Iterator[Fault]:
    """A stub has types and a full docstring; the answer stands inside it: an unsolved lab runs."""
    for cell in _exercises(subject):
        body = (tree(cell) or ast.Module([], [])).body
        defined = [node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        if not defined:
            yield Fault(
                "it defines no function or class. Expected one, named as its check.", cell.id
            )
        for node in defined:
            if len(ast.get_docstring(node) or "") < 40:
                yield Fault(f"{node.name} has no full docstring: shapes, units, result.", cell.id)
            if isinstance(node, ast.FunctionDef) and not _is_typed(node):
                yield Fault(f"{node.name} lacks types on arguments or result.", cell.id)
        if subject.kind == "solution":
            yield from _markers(cell)
        elif f'    raise NotImplementedError("{cell.id}: ' not in cell.source:
            yield Fault("it has no line that raises. Run `datahall labs build`.", cell.id)


def checks_are_one_line(subject: Subject) -> Iterator[Fault]:
    """A check cell is `checks.name(name)`, where the name is what the exercise defines."""
    for cell in subject.code:
        if not CHECK.fullmatch(cell.id):
            continue
        call = re.fullmatch(r"checks\.(\w+)\((\w+)\)", cell.source.strip())
        exercise = subject.by_id.get(cell.id.replace("check-", "exercise-"))
        if call is None or call[1] != call[2]:
            yield Fault("it must be the one line checks.name(name).", cell.id)
        elif exercise is None or not re.search(rf"(?m)^(def|class) {call[1]}\b", exercise.source):
            yield Fault(f"it checks {call[1]}, which its exercise does not define.", cell.id)


def hints_fold(subject: Subject) -> Iterator[Fault]:
    """Hints stay closed until a learner opens them, one by one."""
    for cell in subject.markdown:
        if cell.id.startswith("hints-") and cell.source.count("<details>") < 2:
            yield Fault("it needs two folded hints (<details>): the idea, the first line.", cell.id)


def summary_is_the_last_code(subject: Subject) -> Iterator[Fault]:
    """A lab ends with the points of each exercise."""
    last = subject.code[-1].source.strip() if subject.code else ""
    if subject.kind != "lecture" and last != "checks.summary()":
        yield Fault("the last code cell must be the one line checks.summary().")


def _markers(cell: NotebookNode) -> Iterator[Fault]:
    if cell.source.count(BEGIN) != 1 or cell.source.count(END) != 1:
        yield Fault(f"it needs one {BEGIN!r} and one {END!r}.", cell.id)
    elif not re.search(rf"^ +{BEGIN}", cell.source, re.MULTILINE):
        yield Fault(
            "its markers must stand inside the function: an unsolved lab has to run.", cell.id
        )


def _is_typed(node: ast.FunctionDef) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return node.returns is not None and all(a.annotation is not None for a in arguments)


def _exercises(subject: Subject) -> list[NotebookNode]:
    return [cell for cell in subject.code if EXERCISE.fullmatch(cell.get("id", ""))]


def _with_cell_before(subject: Subject) -> Iterator[tuple[NotebookNode, NotebookNode | None]]:
    wanted = {id(cell) for cell in _exercises(subject)}
    for before, cell in pairwise([None, *subject.cells]):
        if cell is not None and id(cell) in wanted:
            yield cell, before


RULES: tuple[Rule, ...] = (
    parts_are_complete,
    tasks_are_stated,
    stubs_are_fair,
    checks_are_one_line,
    hints_fold,
    summary_is_the_last_code,
)
