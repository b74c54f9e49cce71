"""Pictures of the attacks say what their data say; a matrix counts what it should."""

import numpy as np
import pytest

from datahall.plotting import description
from datahall.serving import attack_figures as figures
from datahall.serving import attack_widgets as widgets
from datahall.serving import evasion, mutants
from datahall.serving.attacks import Attempt
from datahall.serving.defences import LEVELS, Defence
from datahall.serving.mutants import Matrix


def dark(images: np.ndarray) -> np.ndarray:
    return (images.reshape(len(images), -1).mean(axis=1) < 100).astype(int)


def down(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.full_like(images, 1.0) * np.where(labels == 1, 1, -1)[:, None, None, None]


@pytest.fixture
def matrix() -> Matrix:
    names, services = ("tls", "scope"), ("intact", "tls", "scope")
    broken = {("tls", "tls"), ("scope", "scope"), ("scope", "tls")}
    cells = {(a, s): Attempt((a, s) in broken, "seen") for a in names for s in services}
    return Matrix(names, services, cells, dict.fromkeys(services, True))


def test_digits_are_shown_with_what_they_are_called() -> None:
    images = np.zeros((2, 28, 28, 1), np.uint8)
    rows = {"before": images, "after": images + 255}
    told = description(figures.pictures(rows, {"before": np.array([1, 2]), "after": [3, 4]}))
    assert "before: 1, 2; after: 3, 4" in told


def test_a_security_curve_tells_its_end() -> None:
    images, labels = np.full((3, 28, 28, 1), 80, np.uint8), np.ones(3, int)
    rows = evasion.security_curve(down, dark, images, labels, [0, 10, 40], steps=4)
    assert [row["one step"] for row in rows] == [1, 1, 0]
    assert [row["many steps"] for row in rows] == [1, 1, 0]
    made = figures.security_curve(rows)
    assert "noise 100 %, one step 0 %, many steps 0 %" in description(made)
    assert made.axes[0].lines[1].get_ydata().tolist() == [100, 100, 0]


def test_theft_is_shown_against_queries_and_budget() -> None:
    rows = [{"queries": 10, "labels only": 0.5}, {"queries": 100, "labels only": 0.75}]
    made = figures.theft(rows, budget=50)
    assert "labels only: 50 % to 75 %" in description(made)
    assert len(made.axes[0].lines) == 2


def test_losses_are_shown_with_their_area() -> None:
    told = description(figures.losses({"a": (np.array([0.1, 0.2]), np.array([0.2, 0.9]))}))
    assert "a: 0.88" in told


def test_the_levels_are_shown_with_their_defences() -> None:
    told = description(figures.places(LEVELS))
    assert f"open: 0 of {len(Defence)}" in told
    assert f"hardened: {len(Defence)} of {len(Defence)}" in told


def test_a_matrix_counts_own_and_other_cells(matrix: Matrix) -> None:
    assert matrix.proven() == ["tls", "scope"]
    told = description(figures.matrix(matrix))
    assert "2 break the service that lacks their defence, 1 other cells are broken" in told
    assert "the intact service 0 times" in told


def test_a_defence_is_not_proven_by_an_attack_that_breaks_the_intact_service_too(
    matrix: Matrix,
) -> None:
    cells = {**matrix.cells, ("tls", "intact"): Attempt(True, "broken")}
    found = Matrix(matrix.attacks, matrix.services, cells, matrix.honest)
    assert found.proven() == ["scope"]
    lines = mutants.tried(found)
    assert [line.holds for line in lines] == [False, True, True]
    assert lines[0].labels == Defence.TLS.labels


def test_a_matrix_of_some_services_keeps_their_cells(matrix: Matrix) -> None:
    some = mutants.matrix_of(matrix, ["tls", "intact"])
    assert some.services == ("tls", "intact")
    assert set(some.cells) == {(a, s) for a in matrix.attacks for s in ("tls", "intact")}


def test_a_report_says_so_where_honest_requests_are_refused(matrix: Matrix) -> None:
    sad = Matrix(matrix.attacks, matrix.services, matrix.cells, {**matrix.honest, "tls": False})
    assert not mutants.tried(sad)[-1].holds


def test_a_panel_shows_one_level_and_one_place() -> None:
    cells = {
        "tls": {"place": "gateway", "open": True, "half": False},
        "datatype": {"place": "app", "open": True, "half": True},
    }
    assert "Of 1 attacks succeed: half 0" in description(
        widgets.fallen(cells, level="half", place="gateway")
    )
    panel = widgets.explore_level(cells, ["open", "half"])
    assert "open 2" in panel.text
    panel.controls["place"].value = "app"
    assert panel.draws == 2


def test_a_panel_attacks_digits_anew_at_each_move() -> None:
    images, labels = np.full((2, 28, 28, 1), 80, np.uint8), np.ones(2, int)
    panel = widgets.explore_epsilon(down, dark, images, labels)
    panel.controls["epsilon"].value = 60
    panel.controls["steps"].value = 3
    assert panel.draws == 3
    told = description(widgets.attacked_digits(down, dark, images, labels, epsilon=60, steps=3))
    assert "attacked: 0, 0" in told
