"""What the README tells people to type does what it says."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpool.client import Client
from batchpool.stack.local_stack import LocalStack, StackOptions

README = (Path(__file__).parents[2] / "README.md").read_text()
ADDRESS = "localhost:8000"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def block(language: str, having: str) -> str:
    (found,) = [text for text in blocks(language) if having in text]
    return str(found)


def commands(console: str) -> list[str]:
    """The lines after a `$`, with the lines that go on inside a quotation."""
    found: list[str] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            found.append(line.removeprefix("$ "))
        elif found and not _is_whole(found[-1]):
            found[-1] += f"\n{line}"
    return found


def _is_whole(command: str) -> bool:
    if command.endswith("\\"):
        return False
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    tasks = tmp_path_factory.mktemp("tasks")
    (tasks / "words.py").write_text(block("python", "# tasks/words.py"))
    environ = {**os.environ, "BATCHPOOL_TASKS_DIR": str(tasks)}
    options = StackOptions(workers=2, temporary=True, prefer_own_redis=True, environ=environ)
    with LocalStack(options) as stack:
        yield stack


def shell(script: str, stack: LocalStack) -> str:
    python = shlex.quote(sys.executable)
    function = f'batchpool() {{ {python} -m batchpool "$@"; }}'
    told = subprocess.run(
        ["bash", "-c", f"set -eu\n{function}\n{script}"],
        # As wide as tables are that say "no difference shown", as they may on a busy machine.
        env={**os.environ, "BATCHPOOL_URL": stack.url, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


def test_the_curl_session_goes_as_shown(stack: LocalStack) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on PATH")
    post, _, get, records = commands(block("console", "curl"))
    here = stack.url.removeprefix("http://")
    made = shell(post.replace(ADDRESS, here), stack)
    job_id = re.search(r'"id":"(\w+)"', made)
    assert job_id is not None
    named = f"ID={job_id[1]}\n"
    ended = shell(named + get.replace(ADDRESS, here), stack)
    for part in ('"state":"succeeded"', '"sum":10', '"observed":[10],"lost":0,"partial":false'):
        assert part in ended
        assert part in README
    assert len(shell(named + records.replace(ADDRESS, here), stack).splitlines()) == 5


def test_the_commands_go_as_shown(stack: LocalStack) -> None:
    for command in commands(block("console", "batchpool submit")):
        assert "succeeded" in shell(command, stack)


@pytest.mark.parametrize(
    "iterations", ["20000", pytest.param("800000", marks=[pytest.mark.full, pytest.mark.alone])]
)
def test_the_comparison_goes_as_shown(stack: LocalStack, iterations: str) -> None:
    (command,) = commands(block("console", "batchpool compare"))
    assert command.count("iterations=800000") == 1
    told = shell(command.replace("800000", iterations), stack)
    # Which arm is the faster one is for the machine to say.
    for part in ("sequential", "threading 2", "process-pool 2", "reference", "p (Holm)"):
        assert part in told
        assert part in README


def test_the_python_client_goes_as_shown(
    stack: LocalStack, capsys: pytest.CaptureFixture[str]
) -> None:
    code = block("python", "import Client")
    exec(code.replace("http://127.0.0.1:8000", stack.url), {})
    assert capsys.readouterr().out == "28 ['a', 'b']\n3\n"


def test_the_task_of_ones_own_runs_as_shown(stack: LocalStack) -> None:
    with Client(stack.url) as client:
        job = client.wait(client.submit("long-words", items=["a considerable number"]), 30)
    assert (job.state, job.sum) == ("succeeded", 1)


def first_cells(heading: str) -> list[str]:
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)]


def test_every_backend_has_a_line(stack: LocalStack) -> None:
    with Client(stack.url) as client:
        assert first_cells("Backends") == [backend["name"] for backend in client.backends()]


def test_every_task_is_named(stack: LocalStack) -> None:
    section = README.partition("\n## Tasks\n")[2].partition("A task of your own")[0]
    with Client(stack.url) as client:
        own = {"long-words"}
        names = {task["name"] for task in client.tasks()} - own
    assert names == set(re.findall(r"`([a-z]+)`", section))
