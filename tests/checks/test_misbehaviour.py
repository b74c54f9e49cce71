"""Answers that misbehave: each gets its own message, and the notebook goes on unharmed."""

import ctypes
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import psutil
import pytest

from .places import check, places

pytestmark = pytest.mark.processes

MODES = pytest.mark.parametrize("isolated", [True, False], ids=["in a child", "in the kernel"])


def never_ends(size, kernel, *, stride=1):
    while True:
        pass


def never_ends_and_catches_everything(size, kernel, *, stride=1):
    for _ in iter(int, 1):
        try:
            while True:
                pass
        except Exception:  # noqa: S112 (the misbehaviour itself)
            continue


def asks_to_leave(size, kernel, *, stride=1):
    sys.exit(0)


def asks_for_input(size, kernel, *, stride=1):
    return int(input("size? "))


def floods(size, kernel, *, stride=1):
    while True:
        print("still counting")


def floods_standard_error(size, kernel, *, stride=1):
    while True:
        print("still counting", file=sys.stderr)


def calls_itself(size, kernel, *, stride=1):
    return 1 + calls_itself(size - stride, kernel, stride=stride)


def takes_much_memory(size, kernel, *, stride=1):
    return np.ones((10**6, 10**6)).size


MISBEHAVIOUR = [
    (never_ends, "did not end within 1 s, in line", "Is there a loop that never ends?"),
    (never_ends_and_catches_everything, "did not end within 1 s", "Is there a loop"),
    (asks_to_leave, "called exit, in line", "Return the result instead"),
    (asks_for_input, "asked for input, in line", "comes in by its arguments"),
    (floods, "printed more than 100,000 characters", "Take the print out of the loop."),
    (floods_standard_error, "printed more than 100,000 characters", "Take the print out"),
    (calls_itself, "called itself without end, in line", "Which case should stop the recursion?"),
    (takes_much_memory, "asked for more memory than there is", "How many elements"),
]


@MODES
@pytest.mark.parametrize(
    ("answer", "what", "advice"), MISBEHAVIOUR, ids=[row[0].__name__ for row in MISBEHAVIOUR]
)
def test_each_misbehaviour_has_its_own_message(answer, what, advice, isolated, capfd):
    verdict = check(isolated=isolated)(answer)
    assert verdict.state == "wrong" and verdict.points == 0
    assert verdict.message.startswith("places(1, 1) ")
    assert what in verdict.message and advice in verdict.message
    assert capfd.readouterr() == ("", "")


def loops_inside_c(size, kernel, *, stride=1):
    return sum(range(10**13))


def swallows_every_bell(size, kernel, *, stride=1):
    while True:
        try:
            while True:
                pass
        except BaseException:  # noqa: S112 (the misbehaviour itself)
            continue


def leaves_by_the_back_door(size, kernel, *, stride=1):
    os._exit(0)


def crashes(size, kernel, *, stride=1):
    ctypes.string_at(0)


def hoards_memory(size, kernel, *, stride=1):
    kept = []
    while True:
        kept.append(np.empty(2 * 10**7))


ONLY_A_CHILD = [
    (loops_inside_c, "did not end within 1 s and had to be killed"),
    (swallows_every_bell, "did not end within 1 s and had to be killed"),
    (leaves_by_the_back_door, "ended the process. Return the result instead."),
    (crashes, "crashed the process (SIGSEGV)"),
    (hoards_memory, "asked for more memory than there is"),
]


@pytest.mark.skipif(sys.platform != "linux", reason="a limited child needs fork: Linux only")
@pytest.mark.parametrize(
    ("answer", "what"), ONLY_A_CHILD, ids=[row[0].__name__ for row in ONLY_A_CHILD]
)
def test_what_a_timer_cannot_end_ends_in_the_child(answer, what):
    script = (
        "from tests.checks.places import check\n"
        f"from tests.checks.test_misbehaviour import {answer.__name__}\n"
        f"print(check()({answer.__name__}).message)\n"
    )
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=100
    )
    assert run.stderr == "" and what in run.stdout


def test_no_child_is_left_running():
    before = set(psutil.Process().children(recursive=True))
    check()(never_ends)
    check()(places)
    assert set(psutil.Process().children(recursive=True)) <= before


def disturbs_everything(size, kernel, *, stride=1):
    random.seed(7)
    np.random.seed(7)
    np.seterr(all="ignore")
    os.chdir("/")
    os.environ["DATAHALL_TEST_LITTER"] = "1"
    sys.setrecursionlimit(500)
    sys.stdout = sys.stderr
    warnings.simplefilter("ignore")
    return places(size, kernel, stride=stride)


@MODES
def test_the_state_of_the_process_is_put_back(isolated):
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.random_sample()  # noqa: S311 (no secret here)
    random.seed(3)
    np.random.seed(3)
    before = (np.geterr(), Path.cwd(), sys.getrecursionlimit(), sys.stdout, list(warnings.filters))
    assert check(isolated=isolated)(disturbs_everything).state == "passed"
    after = (np.geterr(), Path.cwd(), sys.getrecursionlimit(), sys.stdout, list(warnings.filters))
    assert after == before and "DATAHALL_TEST_LITTER" not in os.environ
    assert (random.random(), np.random.random_sample()) == expected  # noqa: S311


def test_the_timer_of_somebody_else_goes_on():
    rung = []
    handler = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    try:
        outer = signal.setitimer(signal.ITIMER_REAL, 0.5)
        check(isolated=False)(places)
        deadline = time.monotonic() + 30
        while not rung and time.monotonic() < deadline:
            time.sleep(0.01)
        assert rung
    finally:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *outer)


@MODES
def test_what_a_wrong_answer_prints_is_kept_for_the_message_and_cut(isolated):
    def chatty(size, kernel, *, stride=1):
        print("I was here. " * 100)
        return 0

    details = dict(check(isolated=isolated)(chatty).details)
    assert details["it printed"].startswith("I was here.") and len(details["it printed"]) == 400


def test_a_warning_of_numpy_reaches_the_details_and_not_standard_error(capfd):
    def divides(size, kernel, *, stride=1):
        return int(np.float64(size) / (np.float64(kernel) - 1))

    details = dict(check()(divides).details)
    assert "RuntimeWarning: divide by zero" in details["it printed"]
    assert capfd.readouterr().err == ""


def test_interrupting_a_check_interrupts_it():
    def interrupted(size, kernel, *, stride=1):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(isolated=False)(interrupted)


@pytest.mark.skipif(sys.platform != "linux", reason="a limited child needs fork: Linux only")
def test_ctrl_c_ends_a_check_at_once_and_its_child_with_it():
    script = (
        "from tests.checks.places import check\n"
        "from tests.checks.test_misbehaviour import never_ends\n"
        "print('ready', flush=True)\n"
        "check(seconds=300)(never_ends)\n"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout.readline() == "ready\n"
        while not (children := psutil.Process(run.pid).children()):
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=60)
    assert run.returncode != 0 and "KeyboardInterrupt" in errors
    assert not any(child.is_running() for child in children)


@pytest.mark.skipif(sys.platform != "linux", reason="a limited child needs fork: Linux only")
def test_numpy_still_multiplies_in_a_child_of_a_process_that_has_multiplied():
    script = (
        "import numpy as np\n"
        "from tests.checks.places import check, places\n"
        "large = np.ones((700, 700)); large @ large\n"
        "def multiplies(size, kernel, *, stride=1):\n"
        "    assert (large @ large)[0, 0] == 700\n"
        "    return places(size, kernel, stride=stride)\n"
        "print(check(seconds=20)(multiplies).state)\n"
    )
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=100
    )
    assert (run.stdout, run.stderr) == ("passed\n", "")
