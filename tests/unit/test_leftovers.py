"""What a test leaves behind fails that test, and no other one that runs beside it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FORGETFUL = """
import os, subprocess, tempfile, threading, time
import pytest

LONG_S = 11
"Longer than a test may take to tidy up, and short enough to be waited for."

def test_a_process():
    subprocess.Popen(["sleep", str(LONG_S)])

def test_a_thread():
    threading.Thread(target=time.sleep, args=[LONG_S]).start()

def test_a_file():
    open(os.path.join(tempfile.gettempdir(), "forgotten"), "w").close()

@pytest.mark.parametrize("number", range(4))
def test_nothing(number):
    with subprocess.Popen(["sleep", "1"]), tempfile.NamedTemporaryFile():
        pass
"""


@pytest.fixture
def forgetful(tmp_path: Path) -> Path:
    file = tmp_path / "test_forgetful.py"
    file.write_text(FORGETFUL)
    return file


def test_what_is_left_behind_fails_its_own_test_alone(forgetful: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-n", "4", "--dist", "load"]
    command += ["--rootdir", str(forgetful.parent), "-p", "no:cacheprovider", "-rE", str(forgetful)]
    wide = {**os.environ, "COLUMNS": "1000"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=wide)
    left = re.compile(r"^ERROR \S+::test_a_(\w+) - Failed: left behind: {'([a-z ]+)'", re.MULTILINE)
    expected = {"process": "processes", "thread": "threads", "file": "temp files"}
    assert dict(left.findall(ran.stdout)) == expected, ran.stdout
    assert "7 passed, 3 errors" in ran.stdout
