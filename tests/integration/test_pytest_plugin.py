"""The pytest plugin, as a project uses it: tests of its own, in a pytest of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

SLEEPS = dict(task="sleep", params={"seconds": 0.03}, count=4, rounds=8, warmup=0)
ARMS = ["sequential", {"backend": "thread-pool", "concurrency": 4}]

@pytest.mark.compare("thread-pool:4 > 1.2 * sequential", arms=ARMS, **SLEEPS)
def test_holds(comparison):
    assert comparison.succeeded and comparison["spec"]["rounds"] == 8

@pytest.mark.compare("sequential > 1.2 * thread-pool:4", arms=ARMS, confirm=True, **SLEEPS)
def test_fails():
    raise AssertionError("the test itself does not run")

@pytest.mark.compare("a > b", arms=["thread-pool:4,name=a", "thread-pool:4,name=b"], **SLEEPS)
def test_is_open():
    raise AssertionError("the test itself does not run")

@pytest.mark.compare("a > b", arms=ARMS, **SLEEPS)
def test_is_refused():
    pass

@pytest.mark.compare("thread-pool:4 > sequential", arms=["thread-pool:x", "sequential"], **SLEEPS)
def test_is_mistyped():
    pass

@pytest.mark.compare(fail_unless="sequential > x", arms="sequential", **SLEEPS)
def test_has_one_arm():
    pass

@pytest.mark.compare("a > b", arms=None, **SLEEPS)
def test_has_no_arms():
    pass

GRID = {"backend": ["sequential", "thread-pool"], "concurrency": [1]}
@pytest.mark.compare(grid=GRID, fail_unless="thread-pool 1 > 0.01 * sequential", **SLEEPS)
def test_has_a_grid(comparison):
    assert [each["condition"] for each in comparison.conditions] == [
        "thread-pool 1 > 0.01 * sequential"
    ]

def test_has_no_marker(comparison):
    pass

def test_has_nothing_to_do_with_it():
    pass
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    unset = ("BATCHPOOL_URL", "PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "--strict-markers", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in unset},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.timeout(200)
def test_conditions_pass_fail_and_skip_tests(tmp_path: Path) -> None:
    (tmp_path / "test_speed.py").write_text(TESTS)
    told = run(tmp_path).stdout
    outcome = {
        name: word for word, name in re.findall(r"^(\w+) test_speed\.py::(\w+)", told, re.MULTILINE)
    }
    assert outcome["test_is_refused"] == outcome["test_is_mistyped"] == "ERROR", told
    assert outcome["test_has_no_marker"] == outcome["test_has_no_arms"] == "ERROR"
    assert "arms must be a list, got None" in told and "TypeError" not in told
    assert outcome["test_has_nothing_to_do_with_it"] == "PASSED"
    assert outcome["test_has_one_arm"] == "ERROR" and outcome["test_has_a_grid"] == "PASSED", told
    assert "must have 2 to 20 arms, got 1" in told and "another exception" not in told
    assert "unknown arm 'a'" in told and "'thread-pool:x' is not of the form" in told
    assert "needs @pytest.mark.compare(...)" in told
    assert "the test itself does not run" not in told
    skipped = re.findall(r"^SKIPPED .*", told, re.MULTILINE)
    assert any("a > b not proven" in line for line in skipped), told
    # On a machine that is too busy for a verdict these two are skipped, with the reason.
    if "test_holds" not in outcome:
        assert any("thread-pool:4 > 1.2 * sequential not proven" in line for line in skipped)
    else:
        assert outcome["test_holds"] == "PASSED"
    if "test_fails" not in outcome:
        assert any("sequential > 1.2 * thread-pool:4" in line for line in skipped)
    else:
        assert outcome["test_fails"] == "FAILED"
        assert re.search(r"comparison \w{24}: sequential > 1\.2 \* thread-pool:4 failed: ", told)


@pytest.mark.full
def test_strict_is_no_skip(tmp_path: Path) -> None:
    (tmp_path / "test_speed.py").write_text(TESTS)
    told = run(tmp_path, "--compare-strict", "-k", "open")
    assert told.returncode == 1
    assert "FAILED test_speed.py::test_is_open - Failed: comparison" in told.stdout


def test_pytest_alone_loads_nothing_of_ours(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n\ndef test_it():\n    assert [m for m in sys.modules if 'batchpool' in m] == "
        "['batchpool', 'batchpool.pytest_plugin']\n"
    )
    assert run(tmp_path).returncode == 0
