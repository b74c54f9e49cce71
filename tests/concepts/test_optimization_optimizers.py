import keras
import numpy as np
import pytest

from datahall.errors import ParameterError
from datahall.optimization import network as net
from datahall.optimization import optimizers, printed, schedules, surfaces

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


@pytest.mark.parametrize("step", [1, 2, 30])
def test_the_paper_s_form_with_a_translated_epsilon_steps_as_keras_itself_does(step):
    tiny, epsilon = np.array([1e-6]), 1e-7
    variable = keras.Variable(np.zeros(1), dtype="float64")
    theirs = keras.optimizers.Adam(0.001, epsilon=epsilon, **EXACT_BETAS)
    for _ in range(step):
        before = variable.numpy().copy()
        theirs.apply([tiny], [variable])
    beta_2 = EXACT_BETAS["beta_2"]
    mean_square = (1 - beta_2**step) * tiny**2  # of so many equal gradients
    translated = optimizers.epsilon_in_paper(epsilon, step=step, beta_2=beta_2)
    hats = {"mean_hat": tiny, "mean_square_hat": mean_square / (1 - beta_2**step)}

    def by_the_paper(added):
        return -0.001 * hats["mean_hat"] / (np.sqrt(hats["mean_square_hat"]) + added)

    moved = variable.numpy() - before
    assert moved == pytest.approx(by_the_paper(translated), rel=1e-6)
    assert abs(by_the_paper(epsilon)) > 1.3 * abs(moved)  # untranslated, ε does something else


def test_the_place_of_epsilon_matters_less_and_less():
    path = optimizers.descend(
        lambda _: np.array([1e-6]), np.zeros(1), optimizers.Adam(1.0), steps=1000
    )
    shares = -np.diff(path[:, 0])
    assert shares[0] == pytest.approx(1 / (1 + 0.1 / np.sqrt(0.001)), rel=1e-6)
    assert (np.diff(shares) > 0).all() and shares[999] == pytest.approx(0.888, abs=0.001)


def test_rmsprop_wins_on_the_bowl_by_its_uncorrected_first_step():
    bowl, ends, first = surfaces.bowl(), {}, {}
    runners = {
        "raced": optimizers.RMSProp(0.3, decay=0.99),
        "corrected": optimizers.Adam(0.3, beta_1=0.0, beta_2=0.99),
        "decay of Keras": optimizers.RMSProp(0.3),
        "momentum": optimizers.SGD(0.09, momentum=0.8),
        "Adam": optimizers.Adam(0.3, beta_2=0.99),
    }
    for name, runner in runners.items():
        path = optimizers.descend(bowl.gradient, bowl.start, runner, steps=40)
        first[name], ends[name] = np.abs(path[1] - path[0]), bowl.value(path[-1])
    assert first["raced"] == pytest.approx([3.0, 3.0], rel=1e-3)
    assert first["corrected"] == pytest.approx([0.3, 0.3], rel=1e-3)
    order = sorted(ends, key=ends.__getitem__)
    assert order == ["raced", "momentum", "decay of Keras", "Adam", "corrected"]


def test_a_turned_bowl_turns_the_path_of_momentum_and_not_that_of_adam():
    bowl = surfaces.bowl()
    turn = np.array([[1, -1], [1, 1]]) / np.sqrt(2)

    def apart(make):
        straight = optimizers.descend(bowl.gradient, bowl.start, make(), steps=20)
        turned = optimizers.descend(
            lambda p: turn @ bowl.gradient(turn.T @ p), turn @ bowl.start, make(), steps=20
        )
        return np.abs(turned - straight @ turn.T).max()

    assert apart(lambda: optimizers.SGD(0.09, momentum=0.8)) < 1e-9
    assert apart(lambda: optimizers.Adam(0.3)) > 0.1


@pytest.mark.parametrize("kind", [keras.optimizers.SGD, keras.optimizers.Adam])
def test_weight_decay_in_keras_shrinks_the_weight_itself(kind):
    variable = keras.Variable(np.array([2.0, 2.0]), dtype="float64")
    optimizer, gradient = kind(0.01, weight_decay=0.1), np.array([0.0, 5.0])
    plain = keras.Variable(np.array([2.0, 2.0]), dtype="float64")
    optimizer.apply([gradient], [variable])
    kind(0.01).apply([gradient], [plain])
    assert plain.numpy() - variable.numpy() == pytest.approx([0.002, 0.002], rel=1e-6)


def test_the_rate_is_no_bound_on_adam_s_step():
    gradients = iter(1.11 ** np.arange(100))
    path = optimizers.descend(
        lambda _: np.array(next(gradients)), np.array(0.0), optimizers.Adam(0.001), steps=100
    )
    assert -path[-1] > 1.5 * 100 * 0.001


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
