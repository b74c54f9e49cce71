"""Rules about code cells: plain Python, readable parameters, nothing that reaches outside."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from nbformat import NotebookNode

from datahall.course.notebooks.structure.subject import Fault, Rule, Subject, tags, tree

FORBIDDEN_CALLS = {
    "time.sleep": "sleeps: wait for the thing itself, in the package",
    "sleep": "sleeps: wait for the thing itself, in the package",
    "os.system": "runs a shell command: call a function of the package",
    "os.popen": "runs a shell command: call a function of the package",
    "get_ipython": "uses a magic: notebooks are plain Python",
    "sys.path.append": "changes sys.path: the package is installed",
    "sys.path.insert": "changes sys.path: the package is installed",
    "input": "asks on standard input: no batch run can answer",
}
FORBIDDEN_IMPORTS = {
    "subprocess": "runs a shell command: call a function of the package",
    "requests": "downloads: load data with datahall.datasets",
    "urllib": "downloads: load data with datahall.datasets",
    "http": "downloads: load data with datahall.datasets",
    "socket": "opens sockets: call a function of the package",
}
MAGIC = re.compile(r"^\s*[%!?].*|^[^#\n]*\w\?\s*$", re.MULTILINE)
SECRETS = (
    # a name that says so, given a literal value; and keys of known shapes
    re.compile(
        r"""(?i)\b\w*(password|passwd|secret|token|api_?key)\w*\s*[:=]\s*["'][^"'\s{}]{8,}["']"""
    ),
    re.compile(r"AKIA[0-9A-Z]{16}|gh[pousr]_\w{30,}|hf_\w{30,}|-----BEGIN [A-Z ]*PRIVATE KEY"),
)


def is_plain_python(subject: Subject) -> Iterator[Fault]:
    """No magics, no shell, and each cell is Python on its own."""
    for cell in subject.code:
        if tree(cell) is not None:
            continue
        if magic := MAGIC.search(cell.source):
            yield Fault(
                f"{magic[0].strip()!r} is a magic or a shell command. Expected plain Python.",
                cell.id,
            )
        else:
            yield Fault("it is not valid Python.", cell.id)


def reaches_nowhere(subject: Subject) -> Iterator[Fault]:
    """No sleeps, downloads, shell commands or changes of sys.path."""
    for cell in subject.code:
        for node in ast.walk(tree(cell) or ast.Module([], [])):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if why := FORBIDDEN_CALLS.get(name):
                yield Fault(f"{name} {why}.", cell.id)
            forbidden = [name for name in _imports(node) if name.split(".")[0] in FORBIDDEN_IMPORTS]
            for name in forbidden:
                yield Fault(f"import {name} {FORBIDDEN_IMPORTS[name.split('.')[0]]}.", cell.id)


def holds_no_secret(subject: Subject) -> Iterator[Fault]:
    """No password, token or key stands in a cell."""
    for cell in subject.cells:
        if any(pattern.search(cell.source) for pattern in SECRETS):
            yield Fault("it holds what looks like a secret. Read it from the environment.", cell.id)


def parameters_are_annotated(subject: Subject) -> Iterator[Fault]:
    """One cell is tagged `parameters`; a line of it reads `epochs: int = 1  # passes`."""
    tagged = [cell for cell in subject.code if "parameters" in tags(cell)]
    if len(tagged) != 1 or tagged[0].id != "parameters":
        yield Fault(
            f"{len(tagged)} code cells carry the tag parameters. Expected one, with that id."
        )
        return
    cell = tagged[0]
    comments = _comments(cell)
    for node in (tree(cell) or ast.Module([], [])).body:
        line = ast.unparse(node)
        if not isinstance(node, ast.AnnAssign) or node.value is None:
            problem = "is not annotated. Expected name: type = value  # meaning, unit"
        elif not _is_literal(node.value):
            problem = (
                "has no plain value. Expected a number, a text, True, False, or a list of them"
            )
        elif node.end_lineno not in comments:
            problem = "has no comment. Say what it means, and its unit"
        else:
            continue
        yield Fault(f"{line!r} {problem}.", cell.id)


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def _comments(cell: NotebookNode) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(cell.source).readline)
    comments = (token for token in tokens if token.type == tokenize.COMMENT)
    return {token.start[0] for token in comments if len(token.string.strip("# ")) > 2}


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


RULES: tuple[Rule, ...] = (
    is_plain_python,
    reaches_nowhere,
    holds_no_secret,
    parameters_are_annotated,
)
