"""Attacks on a served model: evasion with its controls, extraction, membership."""

import numpy as np
import pytest

from datahall.errors import ParameterError
from datahall.serving import evasion, extraction, membership


def line(images: np.ndarray) -> np.ndarray:
    """Name an image 1 if its first pixel is lighter than 100, else 0."""
    return (images.reshape(len(images), -1)[:, 0] > 100).astype(int)


def uphill(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the derivative of a loss by the first pixel: down for label 1, up for label 0."""
    slopes = np.zeros_like(images)
    slopes.reshape(len(images), -1)[:, 0] = np.where(labels == 1, -0.5, 0.5)
    return slopes


def pictures(*first: int) -> np.ndarray:
    images = np.full((len(first), 28, 28, 1), 50, np.uint8)
    images[:, 0, 0, 0] = first
    return images


def test_one_step_moves_each_pixel_by_epsilon_uphill_and_stays_on_the_grid() -> None:
    found = evasion.fgsm(uphill, pictures(0, 98, 250, 3), np.array([0, 0, 1, 1]), 7)
    assert found[:, 0, 0, 0].tolist() == [7, 105, 243, 0]
    assert found.dtype == np.uint8
    assert (found.reshape(4, -1)[:, 1:] == 50).all()  # no derivative, no step


@pytest.mark.parametrize("seed", [None, 3])
def test_many_steps_stay_within_epsilon(seed: int | None) -> None:
    images, labels = pictures(0, 98, 250), np.array([0, 0, 1])
    found = evasion.pgd(uphill, images, labels, 20, steps=7, seed=seed).astype(int)
    assert np.abs(found - images).max() <= 20
    assert found[:, 0, 0, 0].tolist() == [20, 118, 230]


def test_an_attack_judges_only_what_was_right_before() -> None:
    images, labels = pictures(90, 110, 110, 200), np.array([0, 1, 0, 1])
    found = evasion.attack(uphill, line, images, labels, 20)
    assert (found.judged, found.blind, found.extreme) == (3, 0, 0)
    assert found.attacked == pytest.approx(1 / 3)


def test_no_gradient_is_no_robustness() -> None:
    labels = np.array([0, 1])
    found = evasion.attack(lambda x, _: 0 * x, line, pictures(90, 110), labels, 20)
    assert (found.attacked, found.blind, found.extreme) == (1, 1, 1)
    assert not found.trusted


def test_noise_is_as_large_as_the_attack_and_the_same_each_time() -> None:
    images = pictures(90, 110, 130)
    found = evasion.noisy(images, 20)
    assert set(np.unique(np.abs(found.astype(int) - images))) == {20}
    assert (found == evasion.noisy(images, 20)).all()


@pytest.mark.parametrize("epsilon", [-1, 256, float("nan")])
def test_an_epsilon_that_is_no_gray_level_is_refused(epsilon: float) -> None:
    with pytest.raises(ParameterError, match="gray levels"):
        evasion.attack(uphill, line, pictures(90), np.array([0]), epsilon)


def test_labels_that_are_all_wrong_are_refused() -> None:
    with pytest.raises(ParameterError, match="No image was named rightly"):
        evasion.attack(uphill, line, pictures(90), np.array([1]), 5)


def test_a_network_of_keras_has_the_gradient_of_small_differences() -> None:
    import keras

    keras.utils.set_random_seed(1)
    inputs = [keras.layers.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    model = keras.Sequential(inputs)
    random, labels = np.random.default_rng(2), np.array([3, 7, 1])
    images = random.uniform(0, 255, (3, 28, 28, 1))
    gradient = evasion.gradient_of(model, batch=2)(images, labels)

    def losses(pixels: np.ndarray) -> np.ndarray:
        logits = model.predict_on_batch(pixels.astype(np.float32) / 255).astype(np.float64)
        return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(3), labels]

    step = np.zeros_like(images)
    step[:, 10, 12, 0] = 20.0
    difference = (losses(images + step) - losses(images - step)) / 40
    assert gradient[:, 10, 12, 0] == pytest.approx(difference, rel=2e-2, abs=1e-6)
    assert not evasion.gradient_of(model, rounded=True)(images, labels).any()


def test_an_oracle_counts_images_asks_in_small_requests_and_stops_at_its_budget() -> None:
    requests = []

    def ask(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        requests.append(len(images))
        return line(images), np.zeros((len(images), 10))

    oracle = extraction.Oracle(ask, budget=100, at_once=32)
    labels, scores = oracle(np.zeros((70, 28, 28, 1), np.uint8))
    assert (requests, labels.shape, scores.shape) == ([32, 32, 6], (70,), (70, 10))
    with pytest.raises(extraction.BudgetError, match="70 images were answered and 31 more"):
        oracle(np.zeros((31, 28, 28, 1), np.uint8))
    assert oracle.asked == 70
    assert requests == [32, 32, 6]


def test_a_copy_learns_what_the_service_says() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (200, 28, 28, 1), dtype=np.uint8)
    images[::2, :14] //= 4  # dark above
    said = np.where(images[:, :14].mean(axis=(1, 2, 3)) < 64, 2, 5)
    copy = extraction.surrogate(images[:150], said[:150], steps=60)
    assert extraction.agreement(extraction.labels_of(copy, images[150:]), said[150:]) >= 0.9


def test_the_area_is_the_share_of_right_pairs() -> None:
    random = np.random.default_rng(4)
    members, others = random.integers(0, 9, 40), random.integers(2, 12, 30)
    pairs = [1.0 * (m < o) + 0.5 * (m == o) for m in members for o in others]
    assert membership.auc(members, others) == pytest.approx(np.mean(pairs))
    assert membership.auc(members, others) + membership.auc(others, members) == pytest.approx(1)


def test_the_advantage_is_the_best_threshold() -> None:
    random = np.random.default_rng(5)
    members, others = random.normal(0, 1, 50), random.normal(1, 1, 60)
    every = [np.mean(members <= cut) - np.mean(others <= cut) for cut in [*members, *others]]
    assert membership.advantage(members, others) == pytest.approx(max(every))
    assert membership.advantage(np.array([2.0]), np.array([1.0])) == 0


def test_equal_groups_cannot_be_told_apart() -> None:
    same = np.array([0.0, 0.0, 1.0])
    assert membership.auc(same, same) == 0.5
    with pytest.raises(ParameterError, match="no images"):
        membership.auc(same, np.array([]))
