"""Quantization: a trained network in 8 bits and fewer, understood to the last bit.

Rooms, in reading order: `core` (scale, zero point, codes), `calibration`, `formats` (short floats
as tables), `integers` (a network in integers only), `litert` (the converter and its files); then
`figures`, `widgets`, `bits_bank` and `checks`.
"""
