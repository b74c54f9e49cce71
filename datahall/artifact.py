"""The network that travels through the course: files named by their content, with their parents.

Lecture 03 saves a network; later modules take it, make another file of it (`.keras`, `.tflite`, any
kind) and save that with the first as its parent. `lineage` is the chain back to the data. A file is
named by a digest of its content and never changed: the same weights saved twice are one artifact,
with two steps in its record. Read `Artifact` first, then `save`, `current`, `load`, `lineage`.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datahall import __version__, state
from datahall.errors import DataError, ParameterError
from datahall.store import KEPT, Artifact, Step, collect, find, folder_of, locked, of_data, write

if TYPE_CHECKING:
    import keras

NAME = "mnist_cnn"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can hold


def save(
    what: keras.Model | Path,
    *,
    step: str,
    facts: Mapping[str, Any],
    parent: Any = (),
    name: str = NAME,
) -> Artifact:
    """Store a model or a file, with what it was made from.

    Args:
        what: A Keras model (optimizer state is left out), or a file of any kind.
        step: What made it, for example "03_training".
        facts: What the record shall say: seed, epochs, metrics, with units in the names.
        parent: What it was made from: an artifact, a data set (`datasets.load(…)`), or several.
            What was first saved without a parent gets its parents from a later save; itself, and
            what was made from it, are left out.
        name: Which network of the course it belongs to.

    Returns:
        The artifact; it is the current one of its name and kind.

    Raises:
        DataError: It cannot be read or written; older artifacts are unharmed.
        ParameterError: A parent is unknown, or the facts are no plain data.
    """
    content, kind = _content(what)
    digest = hashlib.sha256(content).hexdigest()
    with locked(name):
        parents = tuple(_digest_of(each, name) for each in _listed(parent))
        known = find(digest, name)
        if known:  # nothing is made from itself: a chain ends
            parents = tuple(each for each in parents if not _comes_from(each, digest, name))
        made = _step(step, facts, parents)
        steps = (*known.steps, made) if known else (made,)
        saved = Artifact(digest, name, kind, len(content), steps)
        if not saved.path.is_file() or saved.path.read_bytes() != content:
            state.write_atomically(saved.path, content)
        write(saved)
        state.write_atomically(folder_of(name) / f"current{kind}.txt", digest)
        collect(name)
    return saved


def append(
    step: str, facts: Mapping[str, Any], *, to: Artifact | None = None, name: str = NAME
) -> Artifact:
    """Add facts to the record of an artifact whose file stays as it is: a latency, a signature.

    Args:
        step: What was done, for example "08_balancing".
        facts: What is now known, with units in the names.
        to: The artifact; the current one when left out.
        name: Which network of the course is meant when `to` is left out.

    Raises:
        DataError: There is no such artifact, or its record cannot be read or written.
        ParameterError: The facts are no plain data.
    """
    wanted = to or current(name)
    with locked(wanted.name):
        known = get(wanted.digest, name=wanted.name)
        longer = Artifact(
            known.digest,
            known.name,
            known.kind,
            known.size_bytes,
            (*known.steps, _step(step, facts, ())),
        )
        write(longer)
    return longer


def exists(name: str = NAME, *, kind: str = ".keras") -> bool:
    """Tell whether an artifact of that name and kind has been saved."""
    return (folder_of(name) / f"current{kind}.txt").is_file()


def current(name: str = NAME, *, kind: str = ".keras") -> Artifact:
    """Return the artifact of a name and kind that was saved last.

    Raises:
        DataError: There is none, or its record is damaged.
    """
    try:
        digest = (folder_of(name) / f"current{kind}.txt").read_text().strip()
    except OSError as error:
        raise DataError(
            f"There is no {kind} artifact {name!r} in {folder_of(name)}. Run lecture 03 first: "
            "`datahall run 03`."
        ) from error
    return get(digest, name=name)


def get(digest: str, *, name: str = NAME) -> Artifact:
    """Return the artifact with a digest.

    Args:
        digest: All of it, or its first 16 characters.
        name: Which network of the course it belongs to.

    Raises:
        DataError: There is none, or its record is damaged.
    """
    found = find(digest, name)
    if found is None:
        raise DataError(
            f"There is no artifact {digest[:16]} of {name!r} in {folder_of(name)}. `store.stored`"
            " lists those that are there."
        )
    return found


def lineage(of: Artifact | None = None, *, name: str = NAME) -> list[Artifact]:
    """Return the chain from the data to an artifact, each after all that it was made from.

    Args:
        of: The artifact; the current one when left out.
        name: Which network of the course is meant when `of` is left out.

    Raises:
        DataError: An artifact of the chain is missing, or its record is damaged.
    """
    chain: dict[str, Artifact] = {}

    def follow(each: Artifact) -> None:
        for parent in each.parents:
            if parent not in chain:
                follow(of_data(parent, each.name) or get(parent, name=each.name))
        chain[each.digest] = each

    follow(of or current(name))
    return list(chain.values())


def file(of: Artifact | None = None, *, name: str = NAME) -> Path:
    """Return the file of an artifact, after checking that it is still what was saved.

    Args:
        of: The artifact; the current one when left out.
        name: Which network of the course is meant when `of` is left out.

    Raises:
        DataError: There is no such artifact, or its file is missing or changed.
    """
    wanted = of or current(name)
    path = wanted.path
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}). Step {wanted.steps[0].step} made "
            f"it; only the newest {KEPT} of a kind are kept. Run that lecture again."
        ) from error
    if found != wanted.digest:
        raise DataError(
            f"{path} has been changed: SHA-256 {found[:12]}…, recorded {wanted.digest[:12]}…. Run "
            f"the lecture that made it again: {wanted.steps[0].step}."
        )
    return path


def load(of: Artifact | None = None, *, name: str = NAME) -> keras.Model:
    """Load a model, after checking that its file is the one in the record.

    Args:
        of: A `.keras` artifact; the current one when left out.
        name: Which network of the course is meant when `of` is left out.

    Raises:
        DataError: There is no such artifact, or its file is missing or changed.
        ParameterError: It is a file of another kind.
    """
    wanted = of or current(name)
    if wanted.kind != ".keras":
        raise ParameterError(
            f"The artifact {wanted.digest[:16]} is a {wanted.kind} file. A .keras file was "
            "expected. Use artifact.file for the path of any other kind."
        )
    path = file(wanted)
    import keras

    model: keras.Model = keras.saving.load_model(path, compile=False)
    return model


def current_or(make: Callable[[], Artifact], *, name: str = NAME, wait_s: float = 600) -> Artifact:
    """Return the current artifact; if there is none, one process makes it while others wait.

    Args:
        make: Makes and saves an artifact of that name, and returns it.
        name: Which network of the course is meant.
        wait_s: How long to wait for another process that makes it, in seconds.

    Raises:
        DataError: It cannot be written, or another process takes too long.
    """
    if not exists(name):
        with locked(name, ".making.lock", wait_s):
            if not exists(name):
                return make()
    return current(name)


def _content(what: keras.Model | Path) -> tuple[bytes, str]:
    """Return what is stored, and its kind; a model's bytes depend on nothing but the model."""
    if isinstance(what, Path):
        try:
            return what.read_bytes(), what.suffix
        except OSError as error:
            raise DataError(
                f"{what} cannot be read ({error.strerror or error}). A file was expected."
            ) from error
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "model.keras"
        what.save(made, include_optimizer=False)
        return _without_times(made.read_bytes()), ".keras"


def _without_times(content: bytes) -> bytes:
    """Return a `.keras` file without the time of saving, which it holds in several places."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w") as new:
        for entry in sorted(old.namelist()):
            data = old.read(entry)
            if entry == "metadata.json":
                about = json.loads(data)
                about.pop("date_saved", None)
                data = json.dumps(about, sort_keys=True).encode()
            new.writestr(zipfile.ZipInfo(entry, _LONG_AGO), data)
    return packed.getvalue()


def _listed(parent: Any) -> list[Any]:
    several = isinstance(parent, Iterable) and not isinstance(parent, str)
    return list(parent) if several else [parent]


def _digest_of(parent: Any, name: str) -> str:
    """Return the digest of a parent: of an artifact that is stored, or of a data set."""
    digest = getattr(parent, "digest", None)
    known = isinstance(parent, Artifact) and parent.name == name and find(parent.digest, name)
    if not digest or not (known or of_data(digest, name)):
        raise ParameterError(
            f"parent is {parent!r}. A stored artifact of {name!r}, a data set of the course, or a "
            "list of these was expected. Save the parent first."
        )
    return str(digest)


def _comes_from(digest: str, ancestor: str, name: str) -> bool:
    """Tell whether an artifact is another one, or was made from it."""
    found = find(digest, name)
    parents = found.parents if found else ()
    return digest == ancestor or any(_comes_from(each, ancestor, name) for each in parents)


def _step(step: str, facts: Mapping[str, Any], parents: tuple[str, ...]) -> Step:
    when = datetime.datetime.now(datetime.UTC).isoformat()
    try:
        plain = json.loads(json.dumps(dict(facts), default=lambda number: number.item()))
    except (TypeError, ValueError, AttributeError) as error:
        raise ParameterError(
            f"The facts of {step} are {facts!r} ({error}). Numbers, texts, truth values and lists "
            "of these were expected."
        ) from error
    return Step(step, when, parents, {"datahall": __version__, **plain})
