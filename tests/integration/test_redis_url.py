"""A REDIS_URL that cannot be used is one line that names the variable."""

import os
import subprocess
import sys

import pytest

from tests.support.sampling import full

MODULES = ("worker", "reconciler", "api", "up")
CHANGES = {
    "no URL": (lambda url: f"'{url}'", "must be redis://"),
    "a bad host": (lambda url: "redis://:pa#ss@127.0.0.1:1/0", "must be redis://"),
    "no database": (
        lambda url: f"{url}?db=99" if url.startswith("unix") else f"{url}/99",
        "no database",
    ),
    "an option": (lambda url: f"{url}?nonsense=1", "unknown option 'nonsense'"),
}
WALK = [(module, kind) for module in MODULES for kind in CHANGES]
# One process finds out all of them, and each of the others what Redis answers.
SMALL = [case for case in WALK if case[0] == "worker" or case[1] == "no database"]


@pytest.mark.parametrize(
    ("module", "kind"), [*SMALL, *full(*(case for case in WALK if case not in SMALL))]
)
def test_it_is_one_line(redis_url: str, module: str, kind: str) -> None:
    change, says = CHANGES[kind]
    command = ["-m", "batchpool", "up", "--port", "0"] if module == "up" else []
    command = command or ["-m", f"batchpool.{module}"]
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "REDIS_URL": change(redis_url), "BATCHPOOL_API_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == (1 if module == "up" else 2), done.stderr
    last = done.stderr.splitlines()[-1]
    assert "REDIS_URL: " in last
    assert says in last
    assert "pa#ss" not in done.stderr and "'pa'" not in done.stderr
    assert "Traceback" not in done.stderr
