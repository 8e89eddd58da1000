"""`batchpool up` over an append-only file that is cut off, scribbled over or in part gone."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from batchpool.client import Client
from batchpool.stack.local_stack import LocalStack, StackOptions
from tests.support.sampling import full

JOBS = 5
DIR, FILE = "redis/appendonlydir", "appendonly.aof.1.incr.aof"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a stack that took a few jobs."""
    folder = tmp_path_factory.mktemp("data")
    with LocalStack(StackOptions(workers=1, data=folder)) as stack, Client(stack.url) as client:
        for _ in range(JOBS):
            client.submit("echo", count=20)
    return folder


@pytest.fixture
def data(written: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(written, tmp_path / "d"))


def jobs_of(data: Path) -> int:
    """How many jobs a stack on this folder serves."""
    with LocalStack(StackOptions(workers=1, data=data)) as stack:
        found = httpx.get(f"{stack.url}/v1/jobs").json()
    return len(found["jobs"])


def up(data: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "batchpool", "up", "--workers", "1", "--port", "0"]
    return subprocess.run(
        [*command, "--data", str(data)], capture_output=True, text=True, timeout=60, check=False
    )


def scribble(folder: Path) -> None:
    """Overwrite the first command of the second half of the file."""
    path = folder / FILE
    raw = path.read_bytes()
    at = raw.index(b"\n*", len(raw) // 2) + 1
    path.write_bytes(raw[:at] + b"XXXXXXXX" + raw[at + 8 :])


BEYOND_REPAIR: dict[str, Callable[[Path], object]] = {
    "manifest": lambda folder: (folder / "appendonly.aof.manifest").write_text("rubbish\n"),
    "base": lambda folder: next(folder.glob("*.base.rdb")).write_text("rubbish\n"),
    "gone": lambda folder: (folder / FILE).unlink(),
}


def test_a_file_that_is_cut_off_is_repaired_by_itself(data: Path) -> None:
    path = data / DIR / FILE
    path.write_bytes(path.read_bytes()[:-30])
    assert jobs_of(data) == JOBS


def test_a_file_that_is_scribbled_over_is_named_with_the_command_that_repairs_it(
    data: Path,
) -> None:
    scribble(data / DIR)
    ended = up(data)
    assert ended.returncode == 1 and ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert f"cannot read its data in {data / 'redis'}" in ended.stderr
    assert "docs/troubleshooting.md" in ended.stderr
    (command,) = re.findall(r"^  (.*--fix .*)$", ended.stderr, re.MULTILINE)
    fixed = subprocess.run(command, shell=True, input="y\n", capture_output=True, text=True)
    assert fixed.returncode == 0, fixed.stdout + fixed.stderr
    assert 0 < jobs_of(data) <= JOBS


@pytest.mark.parametrize("how", ["manifest", *full("base", "gone")])
def test_data_beyond_repair_are_named_with_what_helps(data: Path, how: str) -> None:
    BEYOND_REPAIR[how](data / DIR)
    ended = up(data)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert f"cannot read its data in {data / 'redis'}. Put back a copy" in ended.stderr
    assert "docs/troubleshooting.md" in ended.stderr
