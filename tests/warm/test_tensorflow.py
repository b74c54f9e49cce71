"""TensorFlow after a fork: it computes, with many threads, and gives what a cold kernel gives."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from datahall.course import warm

from .conftest import Kernel, gone, pytestmark, zygotes_of  # noqa: F401

FIT = """
from datahall import runtime
runtime.start(seed={seed})
import keras, numpy as np, tensorflow as tf
x = np.random.default_rng(0).random((256, 8), dtype=np.float32)
data = tf.data.Dataset.from_tensor_slices((x, x.sum(1))).map(
    lambda a, b: (a * 2, b), num_parallel_calls=tf.data.AUTOTUNE).batch(32).prefetch(2)
model = keras.Sequential([keras.layers.Dense(16, "relu"), keras.layers.Dense(1)])
model.compile("adam", "mse")
print(model.fit(data, epochs=2, verbose=0).history["loss"])
print(float(tf.reduce_sum(tf.linalg.matmul(tf.ones((500, 500)), tf.ones((500, 500))))))
"""
SETTINGS = """
from datahall import runtime
runtime.start(seed=2, devices=2, threads=1)
import keras, numpy as np, random, tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled
from threadpoolctl import threadpool_info
def small(): return keras.layers.Dense(1).__call__(np.ones((1, 3), np.float32)).numpy().tolist()
print(small(), tf.random.uniform((2,)).numpy(), np.random.random(), random.random())
print(len(tf.config.list_logical_devices("CPU")), is_op_determinism_enabled())
print({pool["num_threads"] for pool in threadpool_info()}, keras.random.uniform((1,)).numpy())
tf.get_logger().warning("a warning"); tf.get_logger().info("an information")
import absl.logging; absl.logging.warning("another")
"""


def warm_and_cold(start, code):
    forked, cold = start("tensorflow"), start("cold")
    assert forked.warm and not cold.warm
    return forked.run(code, timeout=120), cold.run(code, timeout=120)


def test_a_fit_gives_what_it_gives_in_a_cold_kernel(start):
    forked, cold = warm_and_cold(start, FIT.format(seed=4))
    assert forked == cold and forked.endswith("125000000.0")


def test_devices_threads_seeds_and_logs_are_those_of_a_cold_kernel(start):
    forked, cold = warm_and_cold(start, SETTINGS)
    assert forked == cold and "a warning" in cold
    assert "\n2 " in cold and "{1}" in cold


def test_random_numbers_differ_between_kernels_without_a_seed(start):
    code = (
        "import tensorflow as tf, keras\n"
        "print(tf.random.uniform(()).numpy(), keras.random.uniform(()).numpy())"
    )
    first, second = (start("tensorflow").run(code).split() for _ in range(2))
    assert not set(first) & set(second)


@pytest.mark.slow
def test_twenty_kernels_fit_after_the_fork(held, tmp_path):
    def fit(seed: int) -> tuple[str, int]:
        variables = os.environ | held | {warm.KIND: "tensorflow"}
        with (tmp_path / f"{seed}").open("w") as errors:
            kernel = Kernel(variables, stderr=errors)
        said = kernel.run(FIT.format(seed=seed), timeout=60)
        kernel.end()
        assert kernel.warm
        return said, kernel.process.pid

    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(fit, range(20)))
    assert all(said.endswith("125000000.0") for said, _ in results)
    assert len({said for said, _ in results}) == 20
    assert gone(*(pid for _, pid in results))
    assert [len(zygote.threads()) for zygote in zygotes_of(held)] == [1]
