"""Convolution: a small kernel slides over an image and leaves a sum at each place.

Rooms, in reading order: `core` (sizes, the sum itself), `pooling`, `lowering` (the same sum as
loops, windows, one matrix product, or Fourier transforms), `gradients`, `cost`; then `figures`,
`widgets`, `bank` and `checks`.
"""
