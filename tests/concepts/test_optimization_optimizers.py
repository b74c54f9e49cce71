import keras
import numpy as np
import pytest

from datahall.errors import ParameterError
from datahall.optimization import network as net
from datahall.optimization import optimizers, printed, schedules

STEPS = 100
LIKE = net.new_network(seed=0)
POINTS, TARGETS = net.two_rings(100, seed=0)
EXACT_BETAS = {"beta_1": 0.875, "beta_2": 1 - 2**-10}  # float32 holds both exactly


def gradient(vector):
    network = net.unflatten(vector, LIKE)
    return net.flatten(net.backward(network, net.forward(network, POINTS), TARGETS))


def path_of_keras(optimizer, *, own_slopes=None):
    """The path of a Keras optimizer over the network's loss, in float64."""
    variable = keras.Variable(net.flatten(LIKE), dtype="float64")
    path = [net.flatten(LIKE)]
    for step in range(STEPS):
        place = path[-1] if own_slopes is None else own_slopes[step]
        optimizer.apply([gradient(place)], [variable])
        path.append(keras.ops.convert_to_numpy(variable))
    return np.array(path)


PAIRS = {
    "SGD": (optimizers.SGD(0.001), keras.optimizers.SGD(0.001)),
    "momentum": (optimizers.SGD(0.001, momentum=0.9), keras.optimizers.SGD(0.001, momentum=0.9)),
    "Nesterov": (
        optimizers.SGD(0.001, momentum=0.9, nesterov=True),
        keras.optimizers.SGD(0.001, momentum=0.9, nesterov=True),
    ),
    "RMSProp": (optimizers.RMSProp(0.001), keras.optimizers.RMSprop(0.001)),
    "Adam": (optimizers.Adam(0.001), keras.optimizers.Adam(0.001)),
    "AdamW": (optimizers.AdamW(0.001), keras.optimizers.AdamW(0.001)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_an_optimizer_equals_keras_over_a_hundred_steps(name):
    ours, theirs = PAIRS[name]
    path = optimizers.descend(gradient, net.flatten(LIKE), ours, steps=STEPS)
    assert np.abs(path - path_of_keras(theirs)).max() < 1e-6
    assert np.abs(path[-1] - path[0]).max() > 0.01  # it did move


@pytest.mark.parametrize("ours, theirs", [("Adam", "Adam"), ("AdamW", "AdamW")])
def test_what_remains_of_the_difference_is_the_rounding_of_beta_2_in_keras(ours, theirs):
    path = optimizers.descend(
        gradient, net.flatten(LIKE), getattr(optimizers, ours)(0.001, **EXACT_BETAS), steps=STEPS
    )
    keras_path = path_of_keras(getattr(keras.optimizers, theirs)(0.001, **EXACT_BETAS))
    assert np.abs(path - keras_path).max() < 1e-8


@pytest.mark.parametrize("kind", [optimizers.Adam, optimizers.RMSProp])
def test_epsilon_matters_only_where_slopes_are_small(kind):
    def first(size, place):
        return kind(0.001, epsilon=1e-7, epsilon_place=place).step(np.zeros(1), size)[0]

    large, small = np.array([1.0]), np.array([1e-6])
    assert first(large, "keras") == pytest.approx(first(large, "paper"), rel=1e-4)
    assert abs(first(small, "keras")) < 0.5 * abs(first(small, "paper"))


def test_the_paper_s_form_with_a_translated_epsilon_is_the_form_of_keras():
    translated = optimizers.epsilon_in_paper(1e-7, step=1)
    ours = optimizers.Adam(0.001, epsilon=translated, epsilon_place="paper")
    keras_form = optimizers.Adam(0.001, epsilon=1e-7)
    tiny = np.array([1e-6])
    assert ours.step(np.zeros(1), tiny) == pytest.approx(keras_form.step(np.zeros(1), tiny))


def test_epsilon_in_paper_refuses_step_zero():
    with pytest.raises(ParameterError, match="step is 0, expected 1 or more"):
        optimizers.epsilon_in_paper(1e-7, step=0)


def test_decoupled_decay_shrinks_all_weights_alike_and_l2_under_adam_does_not():
    start, gradients = np.array([1.0, 1.0]), np.array([10.0, 0.1])  # one coordinate steep, one flat
    decoupled = optimizers.AdamW(0.001, weight_decay=1.0)
    plain = optimizers.Adam(0.001)
    assert np.ptp(decoupled.step(start, gradients) - plain.step(start, gradients)) < 1e-9
    through_slope = optimizers.Adam(0.001).step(start, gradients + start) - start
    assert np.ptp(through_slope) < 1e-6  # the penalty vanishes in the division by √v


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (
            schedules.exponential(0.1, every=30, factor=0.5),
            keras.optimizers.schedules.ExponentialDecay(0.1, 30, 0.5),
        ),
        (
            schedules.piecewise(boundaries=[10, 50], rates=[0.1, 0.01, 0.001]),
            keras.optimizers.schedules.PiecewiseConstantDecay([10, 50], [0.1, 0.01, 0.001]),
        ),
        (
            schedules.cosine(0.1, steps=90, warmup=10, floor=0.01),
            keras.optimizers.schedules.CosineDecay(
                0.0, 90, alpha=0.01, warmup_target=0.1, warmup_steps=10
            ),
        ),
    ],
)
def test_a_schedule_equals_that_of_keras(ours, theirs):
    steps = range(0, 121, 5)
    assert [ours(s) for s in steps] == pytest.approx([float(theirs(s)) for s in steps], abs=1e-7)


def test_an_optimizer_follows_its_schedule():
    schedule = schedules.piecewise(boundaries=[0], rates=[1.0, 0.5])
    path = optimizers.descend(
        lambda _: np.array(1.0), np.array(0.0), optimizers.SGD(schedule), steps=2
    )
    assert path.tolist() == [0.0, -1.0, -1.5]


def test_piecewise_refuses_a_missing_rate():
    with pytest.raises(ParameterError, match="1 rates for 1 boundaries, expected 2"):
        schedules.piecewise(boundaries=[10], rates=[0.1])


def test_descend_refuses_a_negative_number_of_steps():
    with pytest.raises(ParameterError, match="steps is -1"):
        optimizers.descend(lambda x: x, np.zeros(1), optimizers.SGD(), steps=-1)


def test_the_adam_of_a2_runs_off_when_it_starts_below_the_minimum():
    path = optimizers.descend(lambda x: 2 * x, np.array(-1.0), printed.AdamOfA2(0.1), steps=12)
    assert (np.diff(path) < 0).all()
    assert path[-1] < -100


def test_the_adam_of_a3_has_no_answer_where_the_slope_is_zero():
    stepped = printed.AdamOfA3(0.001).step(np.array([1.0, 1.0]), np.array([0.5, 0.0]))
    assert np.isfinite(stepped).tolist() == [True, False]
    right = optimizers.Adam(0.001).step(np.array([1.0, 1.0]), np.array([0.5, 0.0]))
    assert right[1] == 1.0
