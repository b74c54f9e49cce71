"""Module 02: losses, gradients and optimizers, by hand and equal to Keras.

Rooms in reading order: `activations`, `losses`, `network` (back-propagation), `optimizers`,
`schedules`, `regularization`, `regression` (house prices, conditioning), `printed` (formulas as
articles print them), `surfaces` (what the optimizer race runs on); then `figures`, `widgets`,
`bank`, `checks`.
"""
