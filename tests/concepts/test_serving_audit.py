"""A log that shows where it was changed."""

from __future__ import annotations

import contextlib
import resource
import stat

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datahall.errors import DataError
from datahall.serving.audit import AuditLog, first_altered
from datahall.serving.defences import ALL, Defence

KEY = b"a key of the chain"


def written(path, many=5, key=None, defences=ALL):
    """Return the lines of a log with so many decisions."""
    log = AuditLog(path, key, defences=defences)
    for number in range(many):
        log.write(who="a" * 64, what="POST /v2", verdict="allowed", reason="ok", status=number)
    log.close()
    return path.read_bytes().splitlines()


def test_a_log_as_it_was_written_is_right(tmp_path):
    lines = written(tmp_path / "log")
    assert first_altered(lines) is None
    assert first_altered([line.decode() + "\n" for line in lines]) is None
    entry = orjson.loads(lines[3])
    assert (entry["seq"], entry["status"], entry["prev"]) == (3, 3, orjson.loads(lines[2])["hash"])
    assert entry["time"].endswith("+00:00")


def test_only_its_owner_reads_a_log(tmp_path):
    written(tmp_path / "log")
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


@given(at=st.integers(0, 4), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found_in_its_line(tmp_path_factory, at, place, bit):
    lines = written(tmp_path_factory.mktemp("log") / "log")
    changed = bytearray(lines[at])
    changed[int(place * len(changed))] ^= 1 << bit
    assert first_altered([*lines[:at], bytes(changed), *lines[at + 1 :]]) == at


def test_a_line_dropped_doubled_moved_or_added_is_found(tmp_path):
    lines = written(tmp_path / "log")
    assert first_altered(lines[1:]) == 0
    assert first_altered([*lines[:2], *lines[3:]]) == 2
    assert first_altered([*lines[:2], *lines[1:]]) == 2
    assert first_altered([lines[0], lines[2], lines[1], *lines[3:]]) == 1
    assert first_altered([*lines, b'{"seq":5}']) == 5
    assert first_altered([*lines[:2], b"", *lines[2:]]) == 2


def test_lines_cut_off_at_the_end_are_missed_by_who_knows_the_last_hash(tmp_path):
    lines = written(tmp_path / "log")
    last = orjson.loads(lines[-1])["hash"]
    assert first_altered(lines, last=last) is None
    assert first_altered(lines[:-1]) is None
    assert first_altered(lines[:-1], last=last) == 4


def test_with_a_key_a_forger_cannot_write_the_chain_anew(tmp_path):
    forged = written(tmp_path / "forged")
    assert first_altered(forged) is None
    assert first_altered(forged, key=KEY) == 0
    assert first_altered(written(tmp_path / "log", key=KEY), key=KEY) is None


def test_a_log_is_continued_where_it_ended(tmp_path):
    written(tmp_path / "log")
    lines = written(tmp_path / "log")
    assert len(lines) == 10
    assert first_altered(lines) is None


def test_a_crash_in_a_line_leaves_a_log_that_goes_on_and_says_so(tmp_path):
    path = tmp_path / "log"
    whole = written(path)
    path.write_bytes(path.read_bytes()[:-40])
    lines = written(path, many=1)
    assert first_altered(lines) is None
    assert lines[:4] == whole[:4]
    assert orjson.loads(lines[4])["reason"] == "torn_line"


@pytest.mark.parametrize(
    "text", ["a\nb", '"}\n{"seq":9,"verdict":"allowed"}', "\r", "\u2028", "\0"]
)
def test_no_value_writes_a_line_of_its_own(tmp_path, text):
    log = AuditLog(tmp_path / "log")
    log.write(what=text, **{"id": text})
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert len(lines) == 1
    assert orjson.loads(lines[0])["what"] == text


def test_a_long_value_is_cut(tmp_path):
    log = AuditLog(tmp_path / "log")
    log.write(what="x" * 100_000)
    assert len((tmp_path / "log").read_bytes()) < 2000


def test_without_escaping_a_caller_writes_a_line(tmp_path):
    log = AuditLog(tmp_path / "log", defences=ALL.without(Defence.LOG_ESCAPING))
    log.write(id='x"}\n{"who":"nobody","verdict":"allowed"}\n{"id":"')
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert orjson.loads(lines[1]) == {"who": "nobody", "verdict": "allowed"}


def test_without_a_chain_no_line_is_known_to_be_right(tmp_path):
    lines = written(tmp_path / "log", defences=ALL.without(Defence.LOG_CHAIN))
    assert b"hash" not in lines[0]
    assert first_altered(lines) == 0


def test_a_log_that_is_a_link_is_not_opened(tmp_path):
    (tmp_path / "log").symlink_to(tmp_path / "other")
    with pytest.raises(DataError, match="cannot be opened"):
        AuditLog(tmp_path / "log")


@contextlib.contextmanager
def files_of_at_most(size):
    """Let no file grow beyond a size: as on a full disk, the first bytes of a line still fit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_full_disk_is_told_and_leaves_no_half_line(tmp_path, room):
    log = AuditLog(tmp_path / "log")
    log.write(what="first")
    whole = (tmp_path / "log").read_bytes()
    with files_of_at_most(len(whole) + room), pytest.raises(DataError, match="cannot be written"):
        log.write(what="second")
    assert (tmp_path / "log").read_bytes() == whole
    log.write(what="third")  # there is room again: the chain goes on
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert [orjson.loads(line)["what"] for line in lines] == ["first", "third"]
    assert first_altered(lines) is None
