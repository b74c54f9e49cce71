"""What a verdict shows: points for nbgrader, words for people, JSON for `datahall check`."""

import warnings

import numpy as np

from datahall.checking import Verdict
from datahall.checking.calling import call
from datahall.checking.verdict import MIME

from .places import check, forgets_the_first, places


def test_the_plain_text_is_the_points_and_nothing_else():
    assert [repr(check()(answer)) for answer in (places, forgets_the_first, None)] == [
        "4.0",
        "1.0",
        "0.0",
    ]


def test_the_bundle_holds_points_message_and_record():
    bundle = check()(forgets_the_first)._repr_mimebundle_()
    assert bundle["text/plain"] == "1.0"
    assert bundle["text/html"].count("places(1, 1)") == 1, "nothing is said twice"
    assert bundle[MIME]["state"] == "wrong" and bundle[MIME]["exercise"] == "99.1"


def test_the_rich_form_says_the_verdict_in_words():
    for answer, words in ((places, "Passed"), (None, "Not attempted")):
        shown = check()(answer)._repr_html_()
        assert words in shown and "role='status'" in shown and "of 4 points" in shown


def test_a_wrong_answer_shows_the_idea_before_the_values():
    shown = check()(forgets_the_first)._repr_html_()
    verdict = check()(forgets_the_first)
    idea = dict(verdict.details)["look at"]
    assert shown.index("Wrong") < shown.index(idea) < shown.index("came back")
    assert shown.count(idea) == 1 and "the hints below help" in shown


def test_a_message_without_values_is_shown_whole():
    said = Verdict("01.1", "Count", "wrong", 0.0, 4.0, "It ran for 5 s.")._repr_html_()
    assert "It ran for 5 s." in said and "<table>" not in said


def test_values_of_the_learner_are_escaped():
    def attacks(size, kernel, *, stride=1):
        return "<img src=x onerror=alert(1)>"

    shown = check()(attacks)._repr_html_()
    assert "<img" not in shown and "&lt;img" in shown


def test_the_line_has_the_score_at_its_end():
    verdict = Verdict("01.1", "Count", "passed", 4.0, 4.0)
    assert str(verdict).startswith("Exercise 01.1: passed") and str(verdict).endswith(
        "4 of 4 points"
    )
    assert str(Verdict("01.1", "Count", "wrong", 1.5, 4.0, "No.")).endswith("1.5 of 4 points")


def test_only_warnings_of_the_learners_own_lines_are_shown():
    def own(number):
        warnings.warn("look here", UserWarning, stacklevel=1)
        return np.log(np.array([number])) + warned

    def of_a_library(number):
        return warnings.warn_explicit("not mine", UserWarning, "library.py", 1)

    warned = 1.0
    assert "look here" in call(own, (0.0,), {}).printed
    assert "divide by zero" in call(own, (0.0,), {}).printed
    assert call(of_a_library, (0.0,), {}).printed == ""
