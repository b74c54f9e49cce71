"""Metrics: against scikit-learn, against hand-computed numbers, and their properties."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn

from datahall.errors import ShapeError, UnitError
from datahall.training import metrics

LABELS = np.array([0, 0, 1, 1, 1, 2, 2, 2, 2])
GUESSES = np.array([0, 1, 1, 1, 0, 2, 2, 1, 2])

pairs = st.integers(2, 5).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(
            st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)),
            min_size=1,
            max_size=40,
        ),
    )
)
graded = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda rows: len({truth for truth, _ in rows}) == 2
)


@given(pairs)
@settings(deadline=None)
def test_every_metric_equals_scikit_learn(case):
    classes, rows = case
    labels, guesses = np.array(rows).T
    ours = metrics.confusion_matrix(labels, guesses, classes=classes)
    names = list(range(classes))
    assert np.array_equal(ours, sklearn.confusion_matrix(labels, guesses, labels=names))
    theirs = sklearn.precision_recall_fscore_support(
        labels, guesses, labels=names, zero_division=0.0
    )
    mine = metrics.precision(ours), metrics.recall(ours), metrics.f1(ours)
    for one, other in zip(mine, theirs[:3], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    assert metrics.accuracy(ours) == pytest.approx(sklearn.accuracy_score(labels, guesses))


def test_the_metrics_of_a_small_matrix_are_those_computed_by_hand():
    confusion = metrics.confusion_matrix(LABELS, GUESSES, classes=3)
    assert confusion.tolist() == [[1, 1, 0], [1, 2, 0], [0, 1, 3]]
    assert metrics.precision(confusion).tolist() == [1 / 2, 2 / 4, 3 / 3]
    assert metrics.recall(confusion).tolist() == [1 / 2, 2 / 3, 3 / 4]
    np.testing.assert_allclose(metrics.f1(confusion), [1 / 2, 4 / 7, 6 / 7])
    assert metrics.accuracy(confusion) == pytest.approx(6 / 9)


def test_a_class_never_predicted_has_precision_zero_without_a_warning():
    assert metrics.precision([[0, 2], [0, 3]]).tolist() == [0.0, 0.6]
    assert metrics.f1([[0, 2], [0, 3]]).tolist() == [0.0, 0.75]


@given(graded)
@settings(deadline=None)
def test_the_roc_curve_equals_scikit_learn_also_where_scores_are_equal(rows):
    truth, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float)
    ours = metrics.roc_curve(truth, scores)
    theirs = sklearn.roc_curve(truth, scores, drop_intermediate=False)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other)
    area = metrics.area_under_curve(ours[0], ours[1])
    assert area == pytest.approx(sklearn.roc_auc_score(truth, scores))


@given(graded)
def test_the_area_is_the_chance_that_a_positive_scores_above_a_negative(rows):
    truth, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float)
    false_rate, true_rate, _ = metrics.roc_curve(truth, scores)
    duels = list(product(scores[truth], scores[~truth]))
    won = sum(1.0 if high > low else 0.5 * (high == low) for high, low in duels)
    assert metrics.area_under_curve(false_rate, true_rate) == pytest.approx(won / len(duels))


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_wilson_interval_equals_scipy_and_stays_a_probability(case):
    successes, trials = case
    low, high = metrics.wilson_interval(successes, trials)
    theirs = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert 0 <= low <= successes / trials + 1e-12 and successes / trials - 1e-12 <= high <= 1


def test_z_is_the_quantile_that_it_says():
    assert pytest.approx(stats.norm.ppf(0.975), abs=1e-15) == metrics.Z_95


def test_four_times_the_examples_halve_the_interval():
    widths = [np.diff(metrics.wilson_interval(n * 98 // 100, n))[0] for n in (10_000, 40_000)]
    assert math.isclose(widths[0] / widths[1], 2, rel_tol=0.01)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: metrics.confusion_matrix([0, 1], [0]), ShapeError, r"shape \(2,\) and predic"),
        (lambda: metrics.confusion_matrix([0.5], [0]), UnitError, "labels hold float64"),
        (lambda: metrics.confusion_matrix([0], [10]), UnitError, "from 10 to 10"),
        (lambda: metrics.confusion_matrix([-1], [0]), UnitError, "from -1 to -1"),
        (lambda: metrics.precision([[1, 2, 3]]), ShapeError, r"shape \(1, 3\)"),
        (lambda: metrics.roc_curve([True, True], [0.1, 0.2]), UnitError, "2 of 2 examples are pos"),
        (lambda: metrics.roc_curve([True, False], [0.1, np.nan]), UnitError, "1 scores are NaN"),
        (lambda: metrics.roc_curve([True, False], [0.1]), ShapeError, r"scores \(1,\)"),
        (lambda: metrics.area_under_curve([1, 0], [0, 1]), UnitError, "x falls"),
        (lambda: metrics.wilson_interval(3, 2), UnitError, "3 successes in 2 trials"),
        (lambda: metrics.wilson_interval(0, 0), UnitError, "at least one trial"),
    ],
)
def test_a_call_without_meaning_is_refused_by_a_message(call, error, words):
    with pytest.raises(error, match=words):
        call()
