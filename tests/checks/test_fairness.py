"""A check is fair to strange answers, and what an answer does stays in the child that judges it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import strategies as st

from datahall.checking import (
    Bank,
    Check,
    Example,
    Property,
    Search,
    Slip,
    Trap,
    Wrong,
    attempts,
    explaining,
)
from datahall.checking.bank import written
from datahall.checking.calling import CallOutcome
from datahall.checking.comparing import difference
from datahall.errors import CourseError

from .places import check, forgets_the_first, places

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="a limited child needs fork: Linux only")


class Bad:
    def __eq__(self, other):
        raise RuntimeError("not comparable")

    def __len__(self):
        raise RuntimeError("no length")

    __hash__ = None


class Longer(list):
    def __len__(self):
        return 3


class UnreadableError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def holds_itself():
    kept = [1]
    kept.append(kept)
    return kept


STRANGE = [
    np.array(3),
    np.array(3.5),
    10**400,
    10**5000,
    np.ma.masked_array(np.zeros((2, 2)), mask=True),
    np.ma.masked_array([1.0, 2.0]),
    np.zeros(2).view(np.matrix),
    None,
    [[1], [1, 2]],
    "a",
    float("nan"),
    np.zeros(0),
    {1},
    lambda: 3,
    {},
    (1,),
    (np.array(1.0), np.array(7.0)),
    1j,
    Bad(),
    Longer([1]),
    np.array([None, 1], object),
    np.zeros(2, dtype=[("a", "f8")]),
    holds_itself(),
    np.array(["2020-01-01"], "datetime64[D]"),
]


@pytest.mark.parametrize("got", STRANGE, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "expected", [2.0, 2, (1.0, 2.0), np.ones((2, 2)), [1, 2], {"a": 1}, np.arange(2)], ids=repr
)
def test_whatever_comes_back_is_told_as_a_difference(expected, got):
    said = difference(expected, got)
    assert said and len(said) < 1000
    kernel = check(
        isolated=False, reference=lambda size, kernel, *, stride=1: expected,
        steps=[Example((1, 1), idea="Look again.")],
    )  # fmt: skip
    verdict = kernel.judge(lambda size, kernel, *, stride=1: got)
    assert verdict.state == "wrong" and "This check failed" not in verdict.message


def test_tolerance_is_relative_and_small_values_are_no_zeros():
    assert difference(np.array([1e-9, 1e-9]), np.array([1e-9, 2e-9]))
    assert difference(1.2345678e-5, 1.2e-5) and difference(1e-9, 0.0)
    assert difference(np.array([1e9, 1e9]), np.array([1e9, 1e9 + 10])) is None
    assert difference(np.array([1e9, 1.0]), np.array([1e9, 1e6]))
    assert difference(np.array([1.0, 0.0]), np.array([1.0, 1e-17])) is None


def test_an_argument_is_copied_as_deep_as_it_was_changed():
    def of(steps):
        return check(reference=lambda size: 0, function="merge", bank=Bank([], []), steps=steps)

    def shrinks(size):
        size.pop()

    def doubles(size):
        size[0] *= 2

    whole = of([Example(([np.ones(2)],), idea="Look.")])
    assert "Work on a copy: size.copy()." in whole.judge(shrinks).message
    assert "copies of the arrays in it: size[0].copy()." in whole.judge(doubles).message
    numbers = of([Example(([1, 2],), idea="Look.")])
    assert "Work on a copy: size.copy()." in numbers.judge(doubles).message


def raises_unreadable(size, kernel, *, stride=1):
    raise UnreadableError


def raises_five_megabytes(size, kernel, *, stride=1):
    raise ValueError("x" * 5_000_000)


@pytest.mark.parametrize("isolated", [True, False])
def test_an_error_without_a_text_and_one_with_too_much_are_told_shortly(isolated):
    one = check(isolated=isolated)(raises_unreadable)
    assert "raised UnreadableError" in one.message and "This check failed" not in one.message
    other = check(isolated=isolated)(raises_five_megabytes)
    assert "raised ValueError: xxx" in other.message
    assert len(json.dumps(other._repr_mimebundle_())) < 20_000


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("return sise", "spelled as in the signature"),
        ("return [0][size]", "last index"),
        ("return size // 0", "nothing to divide by"),
        ("return (size).shape", "Of which type"),
        ("return np.ones(2) + np.ones(3)", "Which shapes"),
    ],
)
def test_an_error_gets_its_own_question_and_no_idea_about_values(line, asked):
    names = {"np": np}
    exec(f"def places(size, kernel, *, stride=1):\n    {line}", names)  # noqa: S102
    verdict = check()(names["places"])
    assert asked in verdict.message and "Draw it" not in verdict.message


def test_a_lost_default_is_sent_to_the_stub():
    verdict = check()(lambda size, kernel, *, stride: places(size, kernel, stride=stride))
    assert "Keep the parameters of the stub" in verdict.message


def test_a_result_of_another_kind_is_sent_to_the_docstring():
    assert "The docstring says" in check()(lambda size, kernel, *, stride=1: "1").message


def double(image):
    image *= 2


@pytest.mark.parametrize("answer", [lambda x: double(x), lambda *args: double(*args)])
def test_work_in_place_is_found_whatever_the_parameter_is_called(answer):
    steps = [Example((np.array([1.0, 2.0]),), idea="Look again.")]
    one = Check(
        "99.2", "Double", function="double", reference=double, bank=Bank([], []), steps=steps
    )
    one.reference = lambda image: image.__imul__(2) is None or None
    assert one.judge(answer).state == "passed"


def test_a_changed_argument_is_told_even_if_the_result_is_wrong():
    steps = [Example((np.array([1.0, 2.0]),), idea="Look again.")]
    one = Check("99.2", "Sum", function="total", reference=np.sum, bank=Bank([], []), steps=steps)

    def total(window):
        window *= 3
        return window.sum()

    message = one.judge(total).message
    assert "changed its argument window in place, and its result is wrong" in message
    assert message.endswith("Work on a copy: window.copy().")


def test_an_idea_must_fail_where_the_answer_fails_and_agree_everywhere_else():
    def like_rounding_up_once(size, kernel, *, stride=1):
        return 4 if (size, stride) == (8, 2) else places(size, kernel, stride=stride)

    verdict = check()(like_rounding_up_once)
    assert "returned 4, expected 3" in verdict.message and verdict.message.endswith("Round down.")
    right_there = Wrong(lambda size, kernel, *, stride=1: 1, "Not this one.", "is right on 1, 1")
    one = check(bank=Bank([], [right_there])).judge(lambda size, kernel, *, stride=1: 1.0)
    assert one.state == "wrong" and "Not this one." not in one.message


def test_two_ideas_that_explain_the_same_are_none():
    zero = lambda size, kernel, *, stride=1: 0  # noqa: E731
    bank = Bank([], [Wrong(zero, "First.", "a"), Wrong(zero, "Second.", "b")])
    assert not check(bank=bank).judge(zero).message.endswith(("First.", "Second."))


def test_an_answer_that_is_wrong_the_second_time_is_told_so():
    seen = set()

    def right_once(size, kernel, *, stride=1):
        again = (size, kernel, stride) in seen
        seen.add((size, kernel, stride))
        return places(size, kernel, stride=stride) + again

    steps = [Example((3, 1), idea="Draw it."), Trap("a stride", (8, 3), {"stride": 2}, idea="…")]
    verdict = check(steps=steps)(right_once)
    assert "although the same call was right before" in verdict.message
    assert verdict.message.endswith("Does it keep something between calls?")
    assert verdict.state == "wrong" and verdict.points == 2


def test_the_course_s_own_function_is_no_answer():
    one = check()
    for answer in (one.reference, lambda *a, **k: one.reference(*a, **k)):
        verdict = one.judge(answer)
        assert (verdict.state, verdict.points) == ("wrong", 0.0)
        assert "That is ours" in verdict.message
    assert one.reference(3, 1) == 3, "it works again afterwards"
    steps = [Example((1, 1), idea="One."), Example((8, 3), {"stride": 2}, idea="Three.")]
    late = check(steps=steps)
    half = late.judge(
        lambda s, k, *, stride=1: 1 if s == 1 else late.reference(s, k, stride=stride)
    )
    assert ("That is ours" in half.message, half.points) == (True, 0.0)
    assert check(ours=[forgets_the_first]).judge(forgets_the_first).points == 0


def slow(size, kernel, *, stride=1):
    time.sleep(1)
    return places(size, kernel, stride=stride)


def never(size, kernel, *, stride=1):
    while True:
        time.sleep(0.01)


@pytest.mark.parametrize("answer", [slow, never])
def test_a_slow_answer_is_told_within_ten_seconds(answer):
    begun = time.monotonic()
    steps = [Example((n, 1), idea="Count.") for n in range(2, 30)]
    verdict = check(steps=steps, seconds=3.0)(answer)
    assert verdict.state == "wrong" and "did not end" in verdict.message
    assert time.monotonic() - begun < 10


@LINUX
def test_the_child_has_a_session_of_its_own_which_ctrl_c_does_not_reach():
    script = (
        "import os, signal\nfrom datahall.checking import child\n"
        "find = lambda: (os.getsid(0), os.getpgrp())\n"
        "ignored = lambda: signal.getsignal(signal.SIGINT) == signal.SIG_IGN\n"
        "there = child.run(lambda beat: dict(at=find(), deaf=ignored()), seconds=5)\n"
        "print(*[one != here for one, here in zip(there['at'], find())], there['deaf'])"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == "True True True\n", run.stderr


@LINUX
def test_what_an_answer_starts_ends_with_it(tmp_path):
    pids = tmp_path / "pids"
    script = f"""
import subprocess
from tests.checks.places import check, places
def leaves(size, kernel, *, stride=1):
    left = subprocess.Popen(["sleep", "600"], start_new_session=True)
    shell = "sleep 600 & echo $! >> {pids}"
    subprocess.run(["sh", "-c", shell])
    open("{pids}", "a").write(f"{{left.pid}}\\n")
    return places(size, kernel, stride=stride) if size else 0
print(check()(leaves).state)
"""
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == "passed\n", run.stderr
    left = [int(pid) for pid in pids.read_text().split()]
    assert len(left) > 2 and not any(psutil.pid_exists(pid) for pid in left)


def in_a_fresh_process(answer_lines: str, *, before: str = "") -> str:
    """Return what is printed of an answer's verdict in a process that has not loaded TensorFlow."""
    script = (
        "import os, time\nfrom tests.checks.places import check, places\n"
        f"def answer(size, kernel, *, stride=1):\n{answer_lines}\n"
        "    return places(size, kernel, stride=stride)\n"
        f"one = check()\n{before}\nprint(one(answer).text)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=100,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert run.stderr == ""
    return run.stdout


FORGED = '{"result": {"state": "passed", "points": 4, "message": "", "details": []}}'


@LINUX
def test_stray_lines_on_the_pipe_are_no_messages():
    tries = "    for fd in range(3, 60):\n        try: os.write(fd, b'{}')\n"
    tries += "        except OSError: pass\n"
    assert in_a_fresh_process(tries.format("hello\\n{}")) == "passed\n"
    forged = tries.format("\\n" + FORGED + "\\n") + "    return 0"
    assert in_a_fresh_process(forged).startswith("places(1, 1) returned 0")


@LINUX
def test_closed_descriptors_and_a_deleted_folder_do_not_break_a_check():
    assert "closed files that are not its own" in in_a_fresh_process("    os.closerange(3, 256)")
    gone = "import tempfile; there = tempfile.mkdtemp(); os.chdir(there); os.rmdir(there)"
    assert in_a_fresh_process("    pass", before=gone) == "passed\n"


@LINUX
def test_two_processes_find_the_same_counterexample_whatever_else_they_have_loaded():
    wrong = "    if size % 3 == 1 and kernel >= 4: return 99"
    loaded = "import datahall.convolution.checks, datahall.optimization.checks"
    assert in_a_fresh_process(wrong) == in_a_fresh_process(wrong, before=loaded) != "passed\n"


BESIDE = """
import sys, types
sys.modules["tensorflow"] = types.ModuleType("tensorflow")  # as if it had been used here
import datahall.convolution.checks as checks
from datahall.checking import child
def output_size(size, kernel, *, stride=1, padding=0):
    {}
    return (size + 2 * padding - kernel) // stride + 1
{}
verdict = checks.output_size(output_size)
print(child.can_fork(), verdict.text, "|", verdict.note)
"""


def beside(line: str, before: str = "") -> str:
    """Return the verdict on an answer that is judged in the child of a zygote."""
    program = [sys.executable, "-c", BESIDE.format(line, before)]
    run = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert run.stderr == ""
    return run.stdout


@LINUX
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pass", "False passed | "),
        ("return 0", "False output_size(3, 3) returned 0, expected 1. "),
        ("sum(range(10**13))", "False output_size(3, 3) did not end within 3 s and had to be k"),
        ("__import__('os')._exit(0)", "False output_size(3, 3) ended the process."),
        ("bytearray(3 * 2**30)", "False output_size(3, 3) asked for more memory than there is"),
        ("return checks.output_size.reference(size, kernel)", "False output_size(3, 3) called our"),
    ],
)
def test_a_kernel_that_cannot_be_forked_has_a_zygote_with_the_same_limits(line, said):
    assert beside(line).startswith(said)


@LINUX
def test_what_cannot_travel_is_judged_in_the_kernel_and_said_so():
    told = beside("str(unsent)", before="import threading; unsent = threading.Lock()")
    assert told.startswith("False passed | Judged in this notebook's own process")
    assert "cannot pickle" in told


@LINUX
def test_a_zygote_ends_with_its_kernel():
    script = BESIDE.format("pass", "") + (
        "from datahall.checking import forkserver\nimport os\n"
        "print([each.pid for each in forkserver._running.values()], flush=True)\nos._exit(1)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    (pid,) = json.loads(run.stdout.splitlines()[-1])
    until = time.monotonic() + 20
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)


def test_the_record_of_a_verdict_is_readable_by_its_owner_only(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAHALL_HOME", str(tmp_path))
    monkeypatch.setattr(attempts.runtime, "interactive", lambda: True)
    check()(places)
    assert attempts.file().stat().st_mode & 0o777 == 0o600


def test_a_slip_must_stand_in_the_solution():
    slip = Slip({"no such text": ""}, "Says.", "idea")
    with pytest.raises(CourseError, match=r"solution of exercise 01\.1 has no 'no such text'"):
        Bank.of("01.1", {}, right=[], wrong=[slip])
    assert written("01.1", {"stride + 1": "stride"}, {})(8, 3, stride=2) == 2


def test_an_exercise_that_no_solution_has_says_what_to_do():
    with pytest.raises(CourseError, match="run `datahall labs build`"):
        Check("77.7", reference=places, bank=Bank([], []), steps=[])


def test_a_property_that_fails_the_second_time_is_told_too():
    calls = []

    def test(answer):
        calls.append(answer)
        return None if len(calls) == 1 else "it was 2, expected 1"

    steps = [Property("counts", test, idea="Count."), Search(st.tuples(st.just(1), st.just(1)))]
    verdict = check(steps=steps, isolated=False)(places)
    assert "although the same call was right before" in verdict.message


def test_calls_with_lists_of_several_lengths_and_with_dicts_are_compared():
    def of(steps):
        return check(reference=lambda size: 2, function="most", bank=Bank([], []), steps=steps)

    ragged = of([Example(([[0], [0, 0]],), idea="Two."), Example(([[1], [1, 2]],), idea="Look.")])
    verdict = ragged.judge(lambda size: 2 if size[0][0] == 0 else 3)
    assert "returned 3, expected 2" in verdict.message and verdict.message.endswith("Look.")
    told = of([Example(({"a": [1, 2]},), idea="Two."), Example(({"a": [1, 3]},), idea="Look.")])
    assert told.judge(lambda size: size["a"][1]).message.endswith("Look.")


def test_where_results_are_of_two_kinds_a_wrong_kind_is_a_wrong_decision():
    steps = [Example((1,), idea="Refuse it.")]
    one = Check("99.2", "Judge", function="judge", reference=lambda n: "no", steps=steps,
                bank=Bank([], []))  # fmt: skip
    assert "The docstring says" in one.judge(lambda n: 1).message
    assert explaining.advice(CallOutcome("value", 1), "it is an int instead of a str", "Refuse it.",
                             either=True) == "Refuse it."  # fmt: skip


def test_what_is_lent_before_an_answer_passes_may_be_more_than_is_compared():
    one = check(lends=forgets_the_first)
    assert one.use(lambda size, kernel, *, stride=1: 0) is forgets_the_first
    assert one.use(places) is places
