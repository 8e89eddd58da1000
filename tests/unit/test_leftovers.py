"""What a test leaves behind fails that test, and no other one that runs beside it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """
import os, subprocess, tempfile, threading, time
import pytest

LONG_S = 5
"Longer than a test may take to tidy up, and short enough to be waited for."

"""
FORGETFUL = {
    "processes": 'subprocess.Popen(["sleep", str(LONG_S)])',
    "threads": "threading.Thread(target=time.sleep, args=[LONG_S]).start()",
    "temp files": 'open(os.path.join(tempfile.gettempdir(), "forgotten"), "w").close()',
}
TIDY = """
pids = []

@pytest.mark.parametrize("number", range(4))
def test_tidy(number):
    with subprocess.Popen(["sleep", "1"]), tempfile.NamedTemporaryFile():
        pids.append(os.getpid())
    assert len(pids) == number + 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A test that leaves something in each of three files, and tidy ones in a fourth."""
    for number, line in enumerate(FORGETFUL.values()):
        text = f"{HEAD}def test_forgetful():\n    {line}\n"
        (tmp_path / f"test_{number}.py").write_text(text)
    (tmp_path / "test_tidy.py").write_text(HEAD + TIDY)
    return tmp_path


def test_what_is_left_behind_fails_its_own_test_alone(folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-n", "2", "-rE"]
    command += [
        "-p",
        "no:schemathesis",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        str(folder),
    ]
    environ = {**os.environ, "COLUMNS": "1000", "BATCHPOOL_TEST_GRACE_S": "3"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    line = re.compile(
        r"^ERROR .*test_(\d).py::\S+ - Failed: left behind: {'([a-z ]+)'", re.MULTILINE
    )
    found = {int(number): kind for number, kind in line.findall(ran.stdout)}
    assert found == dict(enumerate(FORGETFUL)), ran.stdout
    assert "7 passed, 3 errors" in ran.stdout
