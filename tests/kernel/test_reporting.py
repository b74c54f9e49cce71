"""What a notebook shows and records of its results, in a real kernel."""

import textwrap
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from datahall import reporting
from datahall.errors import BoundError, ParameterError


def outputs(source: str) -> list[Any]:
    """Run one cell in a real kernel and return its outputs."""
    code = nbformat.v4.new_code_cell(textwrap.dedent(source))
    notebook = nbformat.v4.new_notebook(cells=[code])
    NotebookClient(notebook, timeout=120, allow_errors=True).execute()
    return list(notebook.cells[0].outputs)


def test_report_and_expect_carry_text_markup_and_record() -> None:
    value, bound, failed, *_ = outputs(
        """
        from datahall.reporting import expect, report
        import numpy as np
        report("size", np.int64(373288), "B", claim="C99.size")
        expect("ratio", np.float32(3.94), at_least=3.9)
        expect("error", 0.5, at_most=0.1)
        """
    )
    assert value.data["text/plain"] == "size: 373 kB"
    record = value.data[reporting.RESULT_MIME]
    assert record == {
        "schema": 1, "name": "size", "value": 373288, "unit": "B", "claim": "C99.size",
        "bound": None, "holds": None, "given": "",
    }  # fmt: skip
    assert bound.data["text/plain"] == "ratio ≥ 3.9: yes"
    assert "3.94" in bound.data["text/html"]
    assert bound.data[reporting.RESULT_MIME]["holds"] is True
    assert failed.data["text/plain"] == "error ≤ 0.1: no, it is 0.500"
    assert failed.data[reporting.RESULT_MIME]["holds"] is False


def test_a_figure_shows_its_picture_and_its_description_in_words() -> None:
    picture, words = outputs(
        """
        from datahall import plotting, runtime
        runtime.start()
        figure, axes = plotting.figure(2, 1)
        axes.plot([1, 2])
        plotting.describe(figure, "A line from 1 to 2.")
        """
    )
    assert picture.data["text/plain"] == "A line from 1 to 2."
    assert picture.metadata["image/png"]["alt"] == "A line from 1 to 2."
    assert words.data["text/plain"] == "A line from 1 to 2."
    assert ">A line from 1 to 2.</p>" in words.data["text/html"]  # prose: it breaks between words


def test_importing_tensorflow_after_start_prints_nothing_and_is_seeded() -> None:
    (value,) = outputs(
        """
        from datahall import runtime
        runtime.start(seed=7)
        import tensorflow as tf
        first = tf.random.uniform(())
        runtime.start(seed=7)
        again = tf.random.uniform(())
        runtime.start(seed=8)
        print(bool(first == again), bool(first == tf.random.uniform(())))
        """
    )
    assert value.text == "True False\n", "another seed must give other numbers"


def test_expect_raises_after_showing_when_the_bound_does_not_hold(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(BoundError, match=r"size ratio is 3.50; the bound is size ratio ≥ 3.9"):
        reporting.expect("size ratio", 3.5, at_least=3.9)
    assert "no, it is 3.50" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "bounds", "holds"),
    [
        (1.0, {"at_least": 1.0, "at_most": 1.0}, True),
        (float("nan"), {"at_most": 1e9}, False),
        (float("inf"), {"at_least": 0.0}, True),
        (27, {"equal": 27}, True),
        (26, {"equal": 27}, False),
        ("yes", {"equal": "yes"}, True),
    ],
)
def test_bounds_hold_as_they_read(value: Any, bounds: dict[str, Any], holds: bool) -> None:
    if holds:
        reporting.expect("x", value, **bounds)
    else:
        with pytest.raises(BoundError):
            reporting.expect("x", value, **bounds)


def test_a_bound_outside_its_parameters_is_not_judged(capsys: pytest.CaptureFixture[str]) -> None:
    reporting.expect("accuracy", 0.1, at_least=0.98, judge=False, given="epochs ≥ 2")
    assert capsys.readouterr().out == "accuracy ≥ 0.98: not judged (only for epochs ≥ 2)\n"


def test_expect_without_a_bound_is_refused() -> None:
    with pytest.raises(ParameterError, match="has no bound"):
        reporting.expect("x", 1)


def test_report_refuses_an_array() -> None:
    with pytest.raises(ParameterError, match="One number, text or truth value was expected"):
        reporting.report("x", np.zeros(3))


def test_expect_error_fails_when_nothing_is_raised() -> None:
    with (
        pytest.raises(BoundError, match="ValueError was expected"),
        reporting.expect_error(ValueError),
    ):
        pass


def test_expect_error_lets_another_error_through() -> None:
    with pytest.raises(KeyError), reporting.expect_error(ValueError):
        raise KeyError("other")


def test_a_table_aligns_numbers_right_and_words_left(capsys: pytest.CaptureFixture[str]) -> None:
    reporting.table([{"a": "x", "n": 1}, {"a": "long", "n": 1000}])
    assert capsys.readouterr().out == "a         n\nx         1\nlong  1,000\n"


@pytest.mark.parametrize("claim", ["C01", "C01.", "C01.Rows", "rows", ""])
def test_a_value_for_a_claim_needs_a_key(claim: str) -> None:
    with pytest.raises(ParameterError, match=r"An id of the ledger, a dot and a key"):
        reporting.report("rows", 6, claim=claim)
