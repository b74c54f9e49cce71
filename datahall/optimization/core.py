"""The mathematics of module 02 in one place: the rooms are small, this is their front door.

Read them in this order: `activations`, `losses`, `network`, `optimizers`, `schedules`,
`regularization`, `regression`.
"""

from datahall.optimization.activations import (
    relu,
    relu_derivative,
    sigmoid,
    sigmoid_derivative,
    tanh,
    tanh_derivative,
)
from datahall.optimization.losses import (
    binary_cross_entropy,
    binary_cross_entropy_from_logits,
    cross_entropy,
    cross_entropy_from_logits,
    cross_entropy_gradient,
    log_sum_exp,
    mean_squared_error,
    one_hot,
    softmax,
)
from datahall.optimization.network import Network, backward, forward, numerical_gradient
from datahall.optimization.optimizers import SGD, Adam, AdamW, RMSProp, adam_step, descend
from datahall.optimization.regression import condition_number, normal_equation, predicted_steps
from datahall.optimization.regularization import dropout, l1_penalty, l2_penalty

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Network",
    "RMSProp",
    "adam_step",
    "backward",
    "binary_cross_entropy",
    "binary_cross_entropy_from_logits",
    "condition_number",
    "cross_entropy",
    "cross_entropy_from_logits",
    "cross_entropy_gradient",
    "descend",
    "dropout",
    "forward",
    "l1_penalty",
    "l2_penalty",
    "log_sum_exp",
    "mean_squared_error",
    "normal_equation",
    "numerical_gradient",
    "one_hot",
    "predicted_steps",
    "relu",
    "relu_derivative",
    "sigmoid",
    "sigmoid_derivative",
    "softmax",
    "tanh",
    "tanh_derivative",
]
