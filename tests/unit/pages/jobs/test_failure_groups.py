"""Failures are shown by cause, each with where it was and what Python said."""

from batchpool.pages.jobs.failures import build_failures, trace_lines
from batchpool.schemas.record_responses import Failures

TRACE = """Traceback (most recent call last):
  File "/usr/lib/python3.11/concurrent/futures/process.py", line 1, in run
    return call()
  File "/home/me/tasks/shop.py", line 15, in parse_total
    return float(text)
           ^^^^^^^^^^^
ValueError: could not convert string to float: '1.204,50'
"""


def failures(**changes: object) -> Failures:
    frame = {"file": "/home/me/tasks/shop.py", "line": 15, "function": "parse_total"}
    error = {"type": "ValueError", "message": "could not convert", "traceback": TRACE}
    sample = {"index": 30, "state": "failed", "batch": 0, "worker": "w", "error": error}
    group = {"type": "shop.ValueError", "frame": frame, "count": 5, "indices": [30, 152, 213, 240]}
    plain = {"total": 5, "grouped": 5, "groups_total": 1, "groups": [group | {"samples": [sample]}]}
    return Failures.model_validate(plain | changes)


def test_a_cause_names_its_place_and_first_items() -> None:
    view = build_failures(failures(), 317, 10)
    assert view is not None
    (line,) = view.lines
    assert (view.note, view.left_out) == ("5 of 317\u00a0items", "")
    assert (line.count, line.error, line.retry) == ("5", "ValueError", "Retry these 5")
    assert line.where == "in parse_total, tasks/shop.py:15 · items 30, 152, 213 …"
    assert dict(line.cause)["type"] == "shop.ValueError"


def test_what_is_left_out_is_said() -> None:
    view = build_failures(failures(total=90_000, grouped=5000, groups_total=7), 100_000, 10)
    assert view is not None
    assert view.left_out == "the first 5\u202f000 failures are grouped; 1 of 7\u00a0causes shown"
    assert build_failures(failures(total=0, grouped=0, groups=[]), 3, 10) is None


def test_own_frames_and_the_error_stand_out() -> None:
    kinds = {line.text.strip()[:12]: line.kind for line in trace_lines(TRACE)}
    assert kinds['File "/usr/l'] == ""
    assert kinds['File "/home/'] == "own"
    assert kinds["ValueError: "] == "err"
    assert kinds["Traceback (m"] == ""
