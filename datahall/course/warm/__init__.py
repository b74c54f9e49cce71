"""Warm kernels: forked from a process in which the libraries are imported and nothing is computed.

Reading order: `owner` (who keeps zygotes, and how long), `provisioner` (what jupyter_client calls),
`starting` (a zygote is found or started), `key` (which kernel may come from which zygote), `zygote`
(the process), `becoming` (how its child turns into a kernel), `process` (the kernel as its
requester sees it). `request` is what they say to each other; `kinds` which notebook needs what;
`holding` is `datahall warm`. Nothing here imports TensorFlow, papermill or nbclient: only a zygote
does.
"""

from datahall.course.warm.kinds import KIND, KINDS, kind_of
from datahall.course.warm.owner import FOLDER, find, zygotes

__all__ = ["FOLDER", "KIND", "KINDS", "find", "kind_of", "zygotes"]
