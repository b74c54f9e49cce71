"""The travelling network: named by content, with parents back to the data, safe for processes."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datahall import artifact, datasets, state, store
from datahall.errors import DataError, ParameterError

AGAIN = multiprocessing.get_context("spawn")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own."""
    monkeypatch.setenv("DATAHALL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def mnist() -> Any:
    """The beginning of a chain: what the digest names is enough here."""

    class Data:
        digest = datasets.digest("mnist")

    return Data()


def thing(tmp_path: Path, content: str, ending: str = ".bin") -> Path:
    file = tmp_path / f"thing{ending}"
    file.write_text(content)
    return file


def save(tmp_path: Path, content: str, parent: Any, **more: Any) -> artifact.Artifact:
    return artifact.save(thing(tmp_path, content), step="test", facts=more, parent=parent)


def network(units: int = 3) -> Any:
    import keras

    keras.utils.set_random_seed(7)
    inputs = keras.Input((4,), name="x")
    return keras.Sequential([inputs, keras.layers.Dense(units, name="d")], name="net")


@pytest.mark.processes
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
def test_a_network_its_lite_child_and_a_grandchild_are_listed_back_to_the_data(
    mnist: Any, tmp_path: Path
) -> None:
    import tensorflow as tf

    model = network()
    first = artifact.save(
        model, step="03_training", facts={"accuracy": np.float32(0.5)}, parent=mnist
    )
    lite = thing(tmp_path, "", ".tflite")
    lite.write_bytes(tf.lite.TFLiteConverter.from_keras_model(artifact.load()).convert())
    child = artifact.save(lite, step="06_quantization", facts={"bits": 32}, parent=first)
    grandchild = save(tmp_path, "a signature", [child, first])

    chain = artifact.lineage(grandchild)
    assert [each.digest for each in chain] == [
        mnist.digest,
        first.digest,
        child.digest,
        grandchild.digest,
    ]
    assert [(each.name, each.kind) for each in chain] == [
        ("data", ""),
        ("mnist_cnn", ".keras"),
        ("mnist_cnn", ".tflite"),
        ("mnist_cnn", ".bin"),
    ]
    assert chain[0].steps[0].step == "mnist"
    assert chain[1].steps[0].facts["accuracy"] == 0.5
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    expected = model.predict(x, verbose=0)
    np.testing.assert_array_equal(artifact.load(first).predict(x, verbose=0), expected)
    interpreter = tf.lite.Interpreter(str(artifact.file(child)))
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (2, 4))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    out = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_the_same_weights_saved_twice_are_one_artifact_with_two_steps(mnist: Any) -> None:
    model = network()
    one = artifact.save(model, step="first", facts={}, parent=mnist)
    time.sleep(2.1)  # a zip file counts time in steps of two seconds
    two = artifact.save(model, step="second", facts={}, parent=mnist)
    assert one.digest == two.digest == hashlib.sha256(two.path.read_bytes()).hexdigest()
    assert [step.step for step in two.steps] == ["first", "second"]
    assert len(list(two.path.parent.glob("*.keras"))) == 1
    other = artifact.save(network(units=2), step="third", facts={}, parent=mnist)
    assert other.digest != one.digest
    assert artifact.current() == other


def test_parents_that_a_later_save_names_are_kept_and_a_chain_never_turns_in_a_circle(
    mnist: Any, tmp_path: Path
) -> None:
    first = artifact.save(thing(tmp_path, "one"), step="unknown", facts={})
    child = artifact.save(thing(tmp_path, "two"), step="made", facts={}, parent=first)
    assert first.parents == ()
    for parent in (first, child):  # a loaded file saved unchanged, and a way back
        same = artifact.save(thing(tmp_path, "one"), step="again", facts={}, parent=parent)
        assert same.parents == ()
    named = artifact.save(thing(tmp_path, "one"), step="known", facts={}, parent=[mnist, child])
    assert named.parents == (mnist.digest,)
    assert [each.digest for each in artifact.lineage(child)] == [
        mnist.digest, first.digest, child.digest
    ]  # fmt: skip
    later = artifact.save(thing(tmp_path, "one"), step="other", facts={}, parent=())
    assert later.parents == (mnist.digest,) and len(later.steps) == 5


def test_the_current_one_is_the_last_of_its_kind(mnist: Any, tmp_path: Path) -> None:
    assert not artifact.exists(kind=".bin")
    one = save(tmp_path, "one", mnist)
    two = save(tmp_path, "two", one)
    other = artifact.save(thing(tmp_path, "x", ".txt"), step="t", facts={}, parent=two)
    assert artifact.exists(kind=".bin")
    assert artifact.current(kind=".bin") == two
    assert artifact.current(kind=".txt") == other
    assert store.stored("mnist_cnn") == [one, two, other]


def test_the_chain_goes_through_every_parent_each_after_what_it_was_made_from(
    mnist: Any, tmp_path: Path
) -> None:
    one, two = save(tmp_path, "one", mnist), save(tmp_path, "two", [])
    both = save(tmp_path, "both", [two, one])
    chain = [each.digest for each in artifact.lineage(both)]
    assert chain == [two.digest, mnist.digest, one.digest, both.digest]


def test_facts_are_added_and_the_file_stays(mnist: Any, tmp_path: Path) -> None:
    one = save(tmp_path, "one", mnist, seed=3)
    longer = artifact.append("08_balancing", {"latency_ms": 1.5}, to=one)
    assert [step.step for step in longer.steps] == ["test", "08_balancing"]
    assert longer.steps[1].facts["latency_ms"] == 1.5
    assert longer.parents == one.parents == (mnist.digest,)
    assert artifact.get(one.digest) == longer
    assert artifact.file(one).read_text() == "one"


def _save_many(home: str, which: int, count: int, begin: Any) -> None:
    import os

    os.environ["DATAHALL_HOME"] = home
    folder = Path(home) / f"own-{which}"
    folder.mkdir(parents=True)
    begin.wait()
    for k in range(count):
        file = folder / "one.bin"
        file.write_text(f"{which} {k}")
        made = artifact.save(file, step=f"{which} {k}", facts={})
        artifact.append("noted", {"k": k}, to=artifact.get(made.digest))


def _append_many(home: str, which: int, count: int, begin: Any) -> None:
    import os

    os.environ["DATAHALL_HOME"] = home
    begin.wait()
    for k in range(count):
        artifact.append(f"{which} {k}", {}, to=artifact.current(kind=".bin"))


def together(work: Any, home: Path, count: int) -> None:
    begin = AGAIN.Barrier(2)
    both = [AGAIN.Process(target=work, args=(str(home), n, count, begin)) for n in (1, 2)]
    for each in both:
        each.start()
    for each in both:
        each.join(60)
    assert [each.exitcode for each in both] == [0, 0]


@pytest.mark.processes
def test_two_processes_that_save_at_once_lose_nothing(home: Path) -> None:
    together(_save_many, home, 4)
    found = store.stored("mnist_cnn")
    names = sorted(each.steps[0].step for each in found)
    assert names == [f"{which} {k}" for which in (1, 2) for k in range(4)]
    assert all([step.step for step in each.steps][1:] == ["noted"] for each in found)
    assert all(artifact.file(each).is_file() for each in found)
    assert artifact.current(kind=".bin") in found


@pytest.mark.processes
def test_two_processes_that_append_at_once_lose_nothing(
    home: Path, tmp_path: Path, mnist: Any
) -> None:
    one = save(tmp_path, "one", mnist)
    together(_append_many, home, 25)
    steps = [step.step for step in artifact.get(one.digest).steps]
    assert sorted(steps[1:]) == sorted(f"{which} {k}" for which in (1, 2) for k in range(25))


def _make(home: str, which: int, count: int, begin: Any) -> None:
    import os

    os.environ["DATAHALL_HOME"] = home

    def make() -> artifact.Artifact:
        (Path(home) / f"made-by-{which}").touch()
        time.sleep(0.5)
        file = Path(home) / "model.keras"
        file.write_text(str(which))
        return artifact.save(file, step=str(which), facts={})

    begin.wait()
    artifact.current_or(make)


@pytest.mark.processes
def test_a_stand_in_is_made_by_one_process_while_the_other_waits(home: Path) -> None:
    home.mkdir()
    together(_make, home, 1)
    assert len(list(home.glob("made-by-*"))) == 1
    assert len(store.stored("mnist_cnn")) == 1
    never: Any = None  # would fail if it were called
    assert artifact.current_or(never) == artifact.current()


def test_a_save_waits_for_whoever_holds_the_lock_and_says_so(
    mnist: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = save(tmp_path, "one", mnist)
    monkeypatch.setattr(store.locked.__wrapped__, "__defaults__", (".lock", 0.1))
    with store.locked("mnist_cnn"):
        pass  # free again afterwards
    holder = AGAIN.Process(target=_hold, args=(str(state.data_folder()),))
    holder.start()
    try:
        marker = state.data_folder() / "held"
        while not marker.exists():
            time.sleep(0.02)
        with pytest.raises(DataError, match=r"held by another process for more than 0 s\. Wait"):
            artifact.append("late", {}, to=one)
        with pytest.raises(DataError, match="held by another process"):
            save(tmp_path, "two", one)
    finally:
        holder.terminate()
        holder.join()


def _hold(home: str) -> None:
    import os

    os.environ["DATAHALL_HOME"] = home
    with store.locked("mnist_cnn"):
        (Path(home) / "held").touch()
        time.sleep(60)


def test_old_files_are_collected_and_ancestors_and_records_stay(mnist: Any, tmp_path: Path) -> None:
    ancestor = save(tmp_path, "ancestor", mnist)
    lonely = save(tmp_path, "lonely", mnist)
    child = artifact.save(thing(tmp_path, "c", ".txt"), step="c", facts={}, parent=ancestor)
    last = [save(tmp_path, f"{k}", mnist) for k in range(store.KEPT)]
    assert not lonely.path.exists()
    assert all(each.path.exists() for each in (ancestor, child, *last))
    assert artifact.get(lonely.digest) == lonely
    with pytest.raises(DataError, match=r"cannot be read.*Step test made it; only the newest 10"):
        artifact.file(lonely)
    again = save(tmp_path, "lonely", mnist)
    assert again.digest == lonely.digest
    assert artifact.file(again).read_text() == "lonely"


def test_a_file_that_was_changed_is_refused(mnist: Any, tmp_path: Path) -> None:
    one = save(tmp_path, "one", mnist)
    one.path.write_text("two")
    with pytest.raises(DataError, match=r"has been changed: SHA-256 .* made it again: test"):
        artifact.file(one)


def test_what_cannot_be_is_refused_with_the_way_out(mnist: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \.keras artifact 'mnist_cnn'.*datahall run 03"):
        artifact.load()
    one = save(tmp_path, "one", mnist)
    with pytest.raises(ParameterError, match=r"is a \.bin file\. A \.keras file was expected"):
        artifact.load(one)
    with pytest.raises(ParameterError, match="parent is 'mnist'"):
        save(tmp_path, "two", "mnist")
    gone = artifact.Artifact("0" * 64, "mnist_cnn", ".bin", 1, one.steps)
    with pytest.raises(ParameterError, match="Save the parent first"):
        save(tmp_path, "two", gone)
    with pytest.raises(ParameterError, match="The facts of test"):
        save(tmp_path, "two", one, what=object())
    with pytest.raises(DataError, match=r"nothing\.bin cannot be read"):
        artifact.save(tmp_path / "nothing.bin", step="s", facts={})
    with pytest.raises(DataError, match="There is no artifact 0000"):
        artifact.get("0" * 64)
    assert store.stored("mnist_cnn") == [one]


@pytest.mark.parametrize("text", ["{half", "[]", '{"schema": 1, "steps": []}'])
def test_a_damaged_record_names_the_file(mnist: Any, tmp_path: Path, text: str) -> None:
    one = save(tmp_path, "one", mnist)
    record = one.path.with_suffix(".json")
    assert json.loads(record.read_text())["digest"] == one.digest
    record.write_text(text)
    with pytest.raises(DataError, match=rf"{record.name} cannot be read.*Move the file away"):
        artifact.get(one.digest)
