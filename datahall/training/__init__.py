"""Training: a convolutional network learns MNIST, and its results are judged properly.

Rooms, in reading order: `core` (networks, schedule, data as floats), `metrics` (what a result is
worth), `loop` (one step, many steps), `checkpoint` and `crash` (a crash costs only minutes),
`reading` (what a trained network makes of one image), `search` and `precision` (claims C15 and
C19), `recipe`, `fast`, `race` and `ladder` (time to accuracy: a recipe, its compiled loop, both
programs in processes of their own, one idea at a time), `figures` and `fast_figures`, `widgets`
(the live curve, the drawing pad), `bank` and `checks` (the lab).
"""
