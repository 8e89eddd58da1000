"""The limits of a machine that leave no room are named."""

import errno
import os
from pathlib import Path

import pytest

from batchpool.system.limits import limit_behind, limit_of_exit, reached_limits


def make_group(root: Path, most: str, used: int) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("0::/\n")
    group = root / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "pids.max").write_text(f"{most}\n")
    (group / "pids.current").write_text(f"{used}\n")
    return root


@pytest.mark.parametrize(("most", "used"), [("max", 9_999), ("100", 90)])
def test_with_room_for_processes_nothing_is_reached(tmp_path: Path, most: str, used: int) -> None:
    assert reached_limits(tmp_path, root=make_group(tmp_path, most, used)) == []


def test_a_control_group_that_is_full_is_named(tmp_path: Path) -> None:
    (limit,) = reached_limits(root=make_group(tmp_path, "100", 99))
    assert "pids.max of the control group is 100, 99 in use" in limit


@pytest.mark.parametrize(
    ("code", "name"), [(errno.EMFILE, "RLIMIT_NOFILE"), (errno.ENOSPC, "no space left in")]
)
def test_the_limit_behind_an_error_is_named(tmp_path: Path, code: int, name: str) -> None:
    folder = tmp_path / "of-the-runner"
    assert name in str(limit_behind(OSError(code, os.strerror(code)), folder))
    assert name in str(limit_of_exit(code, folder))


def test_other_errors_are_behind_no_limit(tmp_path: Path) -> None:
    for error in (ValueError("x"), FileNotFoundError(2, "x"), RuntimeError("x")):
        assert limit_behind(error, tmp_path) is None
    assert limit_of_exit(1, tmp_path) is None
    assert limit_of_exit(None, tmp_path) is None
