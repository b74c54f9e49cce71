"""Training: a convolutional network learns MNIST, and its results are judged properly.

Rooms, in reading order: `core` (networks, schedule, data as floats), `metrics` (what a result is
worth), `loop` (one step, many steps), `checkpoint` (a crash costs only minutes), `search` and
`precision` (claims C15 and C19), `figures`, `widgets` (the drawing pad), `bank` and `checks` (the lab).
"""
