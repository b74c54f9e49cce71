"""Scaling: what happens when one device is not enough, with real processes and collectives.

Rooms, in reading order: `peers` (a rank's sockets, every byte counted), `group` (real processes
that run one function each, and `starter`, which forks and ends them), `allreduce` (ring and tree),
`clocking` (how long they take here), `core` (the model of their time and of a training step),
`parallel` (training on several ranks), `published` (figures of others, and what the model says).

Of several machines: `cluster` (who is who), `launcher` with `worker` and `nursery` (processes that
are watched, started again, and leave nothing: `datahall.guardian`), `machines` (one training on all
of them), `on_ray` with `ray_driver` (the same job by Ray Train, an extra), `fitting` (what Keras'
own `fit` does there), `recovery` (what a loss costs), `beyond` (what crosses the wire in rings and
with parameter servers), `traces` (who is late), `safekeeping` and `killing` (a checkpoint that
survives a kill, and what kills leave).

Of a pipeline: `pipeline` (schedules, simulated), `stages` (the same as real processes).
"""
