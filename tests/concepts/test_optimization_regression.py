import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datahall import datasets
from datahall.errors import ParameterError
from datahall.optimization import printed, regression, surfaces
from datahall.optimization.network import numerical_gradient


@pytest.fixture(scope="module")
def scaled():
    """Ames, scaled, with intercept; prices in $100,000."""
    ames = datasets.load("ames")
    columns = regression.Scaler.fit(ames.properties).apply(ames.properties)
    return regression.with_intercept(columns), ames.price_usd / 1e5


def test_ames_has_no_missing_or_negative_number():
    ames = datasets.load("ames")
    assert ames.properties.shape == (2930, len(ames.names))
    assert np.isfinite(ames.properties).all()
    assert (ames.properties >= 0).all()
    assert (ames.price_usd.min(), ames.price_usd.max()) == (12_789, 755_000)


def test_the_normal_equation_equals_scikit_learn(scaled):
    from sklearn.linear_model import LinearRegression

    columns, prices = scaled
    model = LinearRegression().fit(columns[:, 1:], prices)
    weights = regression.normal_equation(columns, prices)
    assert np.allclose(weights, [model.intercept_, *model.coef_], atol=1e-10)
    assert regression.r_squared(prices, columns @ weights) == pytest.approx(
        model.score(columns[:, 1:], prices)
    )


def test_the_slope_equals_differences_and_the_printed_one_points_the_other_way(scaled):
    columns, prices = scaled
    weights = np.linspace(-1, 1, columns.shape[1])

    def error(w):
        return float(np.mean((columns @ w - prices) ** 2))

    right = regression.gradient(columns, prices, weights)
    assert np.allclose(right, numerical_gradient(error, weights), atol=1e-6)
    assert np.allclose(printed.squared_error_gradient_of_a5(columns, prices, weights), -right / 2)


def test_descent_ends_at_the_normal_equation_in_the_predicted_steps(scaled):
    columns, prices = scaled
    curvature = regression.hessian(columns)
    run = regression.descend_until(columns, prices, rate=regression.best_rate(curvature))
    predicted = regression.predicted_steps(regression.condition_number(curvature), tolerance=1e-3)
    best = regression.normal_equation(columns, prices)
    assert run.reached
    assert np.linalg.norm(run.weights - best) <= 1e-3 * np.linalg.norm(best)
    assert 0.3 * predicted < run.steps <= predicted + 1


def test_descent_says_when_it_diverges(scaled):
    columns, prices = scaled
    largest = np.linalg.eigvalsh(regression.hessian(columns))[-1]
    assert regression.descend_until(columns, prices, rate=1.9 / largest).reached
    run = regression.descend_until(columns, prices, rate=2.1 / largest, at_most=20_000)
    assert not run.reached
    assert run.steps < 20_000  # it stopped when the error had grown a trillion times


@given(st.floats(1.5, 1e3))
def test_predicted_steps_grow_with_the_condition_number_and_bound_a_real_descent(condition):
    columns = np.diag([1.0, np.sqrt(condition)])
    targets = columns @ np.array([1.0, 1.0])
    rate = regression.best_rate(regression.hessian(columns))
    run = regression.descend_until(columns, targets, rate=rate)
    predicted = regression.predicted_steps(condition, tolerance=1e-3)
    assert run.steps <= np.ceil(predicted)
    assert run.steps >= np.floor(predicted) - 1  # the error lies on both axes alike: the worst case


def test_the_scaler_is_made_from_the_rows_of_fit_only():
    scaler = regression.Scaler.fit(np.array([[0.0], [2.0]]))
    assert scaler.apply(np.array([[4.0]])).tolist() == [[3.0]]


def test_the_scaler_refuses_a_constant_feature():
    with pytest.raises(ParameterError, match=r"features \[1\] have the same value"):
        regression.Scaler.fit(np.array([[1.0, 5.0], [2.0, 5.0]]))


def test_predicted_steps_refuse_a_condition_number_below_one():
    with pytest.raises(ParameterError, match=r"condition is 0\.5"):
        regression.predicted_steps(0.5, tolerance=0.1)


@pytest.mark.parametrize("name", surfaces.SURFACES)
def test_the_slope_of_a_surface_equals_differences(name):
    surface = surfaces.named(name)
    for place in (surface.start, surface.start / 3 + 0.05):
        assert np.allclose(
            surface.gradient(place), numerical_gradient(surface.value, place), atol=1e-6
        )


def test_an_unknown_surface_is_refused_by_name():
    with pytest.raises(ParameterError, match="There is no surface 'saddle'"):
        surfaces.named("saddle")
