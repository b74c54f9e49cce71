"""Attacks on the files of a model, which its loading stops: one for each of its defences.

A `Bench` is a model repository of one's own, with an authority that signs, and a service that loads
from it. Each attack changes a copy of the files and lets the service load; the harm is that it
serves what the attacker wants.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from datahall.quantization import litert
from datahall.serving import authority as authorities
from datahall.serving import poison, repository
from datahall.serving.attacks import Attack, Attempt
from datahall.serving.authority import Authority
from datahall.serving.defences import Defence, Defences
from datahall.serving.model import ServedModel
from datahall.serving.protocol import RefusedError
from datahall.serving.signing import (
    LABELS_FILE,
    MODEL_FILE,
    Trust,
    sha256,
    verified,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = repository.MODEL_NAME
RACES = 60  # tries of the race: without the defence one in a few is won


@dataclass
class Bench:
    """A repository that may be attacked, and how its service loads.

    Args:
        folder: Where the copies are made; empty.
        tflite: The honest network.
        authority: Whose signature is trusted.
        defences: What the loading does.

    Attributes:
        evil: The attacker's network: it calls a 3 an 8, and is right otherwise.
        stranger: An authority that nobody trusts.
    """

    folder: Path
    tflite: bytes
    authority: Authority
    stranger: Authority
    defences: Defences = field(default_factory=Defences.all)
    evil: bytes = b""

    @classmethod
    def at(cls, folder: Path, tflite: bytes) -> Bench:
        """Make a bench in a folder.

        Args:
            folder: It is made.
            tflite: The honest network.
        """
        folder.mkdir(parents=True)
        ours, theirs = (authorities.create(folder / name) for name in ("ours", "theirs"))
        return cls(folder, tflite, ours, theirs, evil=poison.swapped(tflite, 3, 8))

    @property
    def digest(self) -> str:
        """The SHA-256 of the honest network, in hex."""
        return sha256(self.tflite)

    def lacking(self, *missing: Defence) -> Bench:
        """Return the same without some defences."""
        return replace(self, defences=Defences.all().without(*missing))

    @contextmanager
    def published(self, *versions: bytes) -> Iterator[Path]:
        """Publish networks as versions 1, 2, … in a repository that is removed afterwards.

        Args:
            versions: The networks.
        """
        models = self.folder / f"models-{os.getpid()}-{threading.get_ident()}"
        try:
            for number, tflite in enumerate(versions, 1):
                repository.publish(tflite, models, NAME, number, self.authority)
            yield models
        finally:
            shutil.rmtree(models, ignore_errors=True)

    def load(self, models: Path, **trust: object) -> ServedModel:
        """Load what a repository says is current, as the service does.

        Args:
            models: The repository.
            trust: Fields of `Trust` beside the root.

        Raises:
            RefusedError: It is not to be trusted.
        """
        version = repository.current(models, NAME)
        trusted = Trust(self.authority.root_pem.decode(), **trust)  # type: ignore[arg-type]
        folder = repository.place(models, NAME, version)
        with litert.quiet():  # what LiteRT says at its first start
            return ServedModel(verified(folder, trusted, defences=self.defences))

    def serves(self, load: Callable[[], ServedModel], digest: str, says: str) -> Attempt:
        """Let the service load; that it serves a certain network is the harm.

        Args:
            load: Loads.
            digest: Of that network.
            says: What it means.
        """
        try:
            found = load()
        except RefusedError as error:
            return Attempt(False, error.refusal.says)
        return Attempt(found.digest == digest, says if found.digest == digest else "no harm")


def signature(bench: Bench) -> Attempt:
    """Put a network of one's own beside the old one, signed by oneself, as the newest version."""
    with bench.published(bench.tflite) as models:
        repository.publish(bench.evil, models, NAME, 2, bench.stranger)
        says = "a network that a stranger signed is served"
        return bench.serves(lambda: bench.load(models), sha256(bench.evil), says)


def exact_files(bench: Bench) -> Attempt:
    """Add a file that gives the classes other names; what was signed stays as it is."""
    names = [str(each) for each in (0, 1, 2, 8, 4, 5, 6, 7, 3, 9)]
    with bench.published(bench.tflite) as models:
        (repository.place(models, NAME, 1) / LABELS_FILE).write_text(json.dumps(names))
        try:
            found = bench.load(models)
        except RefusedError as error:
            return Attempt(False, error.refusal.says)
    harmed = found.labels == names
    return Attempt(harmed, "a 3 is called 8 by a file that nobody signed" if harmed else "no harm")


def no_rollback(bench: Bench) -> Attempt:
    """Switch back to an old version that is rightly signed, and known to be weak."""
    with bench.published(bench.evil, bench.tflite) as models:
        repository.switch(models, NAME, 1)
        says = "an old version with a known weakness is served"
        return bench.serves(lambda: bench.load(models, least_version=2), sha256(bench.evil), says)


def verified_bytes(bench: Bench) -> Attempt:
    """Exchange the network after its check and before its use, again and again."""
    with bench.published(bench.tflite) as models:
        path = repository.place(models, NAME, 1) / MODEL_FILE
        stop = threading.Event()
        racer = threading.Thread(target=_swap, args=(path, (bench.evil, bench.tflite), stop))
        racer.start()
        try:
            return _raced(bench, models)
        finally:
            stop.set()
            racer.join()


def _raced(bench: Bench, models: Path) -> Attempt:
    """Load while the file is exchanged, until the race is won or all tries are lost."""
    says = "another network is served than the one that was checked"
    found = Attempt(False, "no try")
    for _ in range(RACES):
        found = bench.serves(lambda: bench.load(models), sha256(bench.evil), says)
        if found.succeeded:
            return found
    return Attempt(False, f"{RACES} tries, none won; the last one: {found.evidence}")


def _swap(path: Path, contents: tuple[bytes, bytes], stop: threading.Event) -> None:
    """Replace a file by the one content and the other in turn, each time in one step."""
    other = path.parent.parent / "exchanged"
    while not stop.is_set():
        for content in contents:
            other.write_bytes(content)
            other.replace(path)
            stop.wait(0.004)


def model_pin(bench: Bench) -> Attempt:
    """Sign other bytes under a version that is known already, with the right key."""
    with bench.published(bench.tflite) as models:
        folder = repository.place(models, NAME, 1)
        shutil.rmtree(folder)
        repository.publish(bench.evil, models, NAME, 1, bench.authority)
        says = "other bytes are served under a known version"
        pinned = {1: sha256(bench.tflite)}
        return bench.serves(lambda: bench.load(models, pinned=pinned), sha256(bench.evil), says)


def honest_load(bench: Bench) -> bool:
    """Tell whether the honest network is loaded and served: the control.

    Args:
        bench: The bench.
    """
    with bench.published(bench.tflite) as models:
        pinned = {1: sha256(bench.tflite)}
        try:
            return bench.load(models, pinned=pinned).digest == sha256(bench.tflite)
        except RefusedError:
            return False


def _attack(defence: Defence) -> Attack:
    run = globals()[defence.value]
    return Attack(defence, run.__doc__, run)


MODEL = tuple(_attack(each) for each in Defence if each.place == "model")
