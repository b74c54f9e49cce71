"""Where TensorFlow is imported but unused, a zygote is forked from the kernel: no second import."""

import json
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="a zygote needs fork: Linux only"),
]

SCRIPT = """
import json, os, socket
import numpy as np
import tensorflow as tf
import psutil
from datahall.checking import forkserver

unused = forkserver.is_unused()
from datahall.training import checks

listening = socket.create_server(("127.0.0.1", 0))  # as a kernel's channels are
forked = forkserver.prepared(checks.__name__)
def scores(confusion, digit):
    right = confusion[digit, digit]
    called, there = confusion[:, digit].sum(), confusion[digit].sum()
    p, r = (float(right / n) if n else 0.0 for n in (called, there))
    return p, r, 2 * p * r / (p + r) if right else 0.0
def turned(confusion, digit):
    p, r, both = scores(confusion, digit)
    return r, p, both
def leaves(confusion, digit):
    os._exit(0)
told = [checks.scores(each) for each in (scores, turned, leaves, scores)]
kept = forkserver.prepared(checks.__name__) is forked
own = psutil.Process(forked.pid).net_connections()
first = dict(unused=unused, kind=type(forked).__name__, kept=kept, sockets=len(own))
forked.kill()
forked.wait(5)
again = checks.scores(scores)  # made anew, as nothing has been computed here
tf.constant(1.0)  # from here on threads of TensorFlow run
forkserver._end(checks.__name__)
later = type(forkserver.prepared(checks.__name__)).__name__
print(json.dumps(first | dict(
    told=[(each.state, each.message, each.note) for each in [*told, again]],
    used=forkserver.is_unused(), later=later, pid=forked.pid, ended=forked.poll())))
"""


@pytest.fixture(scope="module")
def seen():
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=200, check=True
    )
    return json.loads(run.stdout)


def test_a_zygote_is_forked_as_long_as_tensorflow_is_unused(seen):
    assert (seen["unused"], seen["kind"]) == (True, "_Forked")
    assert (seen["used"], seen["later"]) == (False, "Popen")


def test_a_forked_zygote_judges_like_a_started_one(seen):
    right, turned, leaves, again, anew = seen["told"]
    assert right == again == anew == ["passed", "", ""]
    assert turned[0] == "wrong" and "Precision looks down the digit's column" in turned[1]
    assert leaves[0] == "wrong" and "ended the process" in leaves[1]
    assert seen["kept"], "an answer that ends its process took the zygote along"


def test_a_forked_zygote_holds_no_connection_of_the_kernel_and_ends_when_it_is_ended(seen):
    assert seen["sockets"] == 0
    assert seen["ended"] == -9
