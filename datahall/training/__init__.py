"""Training: a convolutional network learns MNIST, and its results are judged properly.

Rooms, in reading order: `core` (networks, schedule, data as floats), `metrics` (what a result is
worth), `loop` (one step, many steps), `checkpoint` and `crash` (a crash costs only minutes),
`reading` (what a trained network makes of one image), `search` and `precision` (claims C15 and
C19), `figures`, `widgets` (the live curve, the drawing pad), `bank` and `checks` (the lab).
"""
