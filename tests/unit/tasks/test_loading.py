"""A source of tasks that cannot be loaded costs only itself, and no task vanishes silently."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from batchpool.runner.capabilities import MOST_SCHEMA_BYTES, capabilities
from batchpool.tasks import Registry, TaskSources, load_tasks, task
from batchpool.tasks.load_errors import MOST_ERRORS
from batchpool.tasks.registry import find_task

GOOD = "@task('good')\ndef good(item): return item\n"


def load(folder: Path) -> Registry:
    return load_tasks(TaskSources(tasks_dir=str(folder), entry_points=False))


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"from batchpool.tasks import task\n{text}", encoding="utf-8")


def errors_of(folder: Path) -> dict[str, str]:
    """The errors that workers with this folder announce, beside a task that can be run."""
    write(folder, "zz_good.py", GOOD)
    document = json.loads(json.dumps(capabilities(load(folder)).to_json(), allow_nan=False))
    assert "good" in document["tasks"]
    return {Path(error["source"]).name: error["error"] for error in document["errors"]}


HEAVY = "class Odd(BaseException):\n    def __str__(self): raise SystemExit\nraise Odd"
MODULES = {
    "leaves": ("import sys\nsys.exit(3)", "SystemExit: 3"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "own class": ("class Mine(BaseException): ...\nraise Mine('x')", "Mine: x"),
    "no text": (HEAVY, "Odd: (its text cannot be read)"),
    "huge text": ("raise ValueError('x' * 50_000_000)", "characters"),
    "half a surrogate": ("raise ValueError('a\\ud800b')", "ValueError: a?b"),
    "syntax": ("def f(:", "SyntaxError"),
    "recursion": ("def f(): f()\nf()", "RecursionError"),
    "null byte": ("\0", "null byte"),
    "taken": (
        "@task('echo')\ndef echo(item): ...",
        "'echo' is taken by batchpool.tasks.builtin.echo",
    ),
    "no name": ("@task\ndef f(item): ...", "@task('name')"),
    "bound": ("@task('b', bound={1})\ndef f(item): ...", "must be 'io' or 'cpu', not {1}"),
    "rate": (
        "@task('r', rate='fast')\ndef f(item): ...",
        "'10/s', '30/min' or '100/h', not 'fast'",
    ),
    "replaces itself": ("import sys\nsys.modules[__name__] = 3", "must be a module or a task"),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_that_fails_costs_only_itself(tmp_path: Path, name: str) -> None:
    source, said = MODULES[name]
    write(tmp_path, "bad.py", source)
    (error,) = errors_of(tmp_path).values()
    assert said in error
    assert len(error) < 2000


def test_source_that_is_no_text_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_bytes(b"x = '\xff'\n")
    assert "SyntaxError" in errors_of(tmp_path)["bad.py"]


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are UTF-8 there")
def test_file_names_that_are_no_text_or_no_module_are_shown(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.py")).write_text("1 / 0")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")
    (tmp_path / "v1.2.py").write_text("")
    (tmp_path / "folder.py").mkdir()
    errors = errors_of(tmp_path)
    assert errors.keys() == {"?.py", "gone.py", "v1.2.py", "folder.py"}
    assert "dot" in errors["v1.2.py"]


PARAMS = """
import threading
from dataclasses import dataclass
from typing import Any
from pydantic import BaseModel, RootModel, GetJsonSchemaHandler
@dataclass(frozen=True)
class P:
    {}
@task('bad', params=P)
def bad(item, params): ...
"""
SCHEMA = "@classmethod\n    def __get_pydantic_json_schema__(cls, *args)"
BAD_PARAMS = {
    "lock: threading.Lock": "PydanticSchemaGenerationError",
    "x: float = float('nan')": "Out of range float values",
    "x: str = '\\ud800'": "surrogates",
    "x: 'Nowhere' = 1": "not fully defined",
    f"{SCHEMA}: return {{'type': 'object', 'x': {{1}}}}": "not JSON serializable",
    f"{SCHEMA}: return {{'type': 'array'}}": "must be an object",
    f"{SCHEMA}: raise SystemExit": "SystemExit",
    f"x: str = 'x' * {MOST_SCHEMA_BYTES}": "at most",
}


@pytest.mark.parametrize("field", BAD_PARAMS)
def test_params_that_cannot_be_announced_cost_only_their_task(tmp_path: Path, field: str) -> None:
    write(tmp_path, "t.py", PARAMS.format(field) + "@task('beside')\ndef beside(item): ...\n")
    (told,) = errors_of(tmp_path).items()
    assert told[0].startswith("params of task 'bad' in ")
    assert BAD_PARAMS[field] in told[1]
    assert "beside" in capabilities(load(tmp_path)).tasks


def test_params_that_refer_to_themselves_have_a_schema(tmp_path: Path) -> None:
    write(tmp_path, "t.py", PARAMS.format("next: 'P | None' = None"))
    schema = load(tmp_path).schema_of("bad")
    assert schema is not None and schema["properties"].keys() == {"next"}


FORMS = {
    "partial": "import functools\na = task('x')(functools.partial(lambda k, item: item, 1))",
    "builtin": "a = task('x')(len)",
    "of another module": "import posixpath\na = task('x')(posixpath.basename)",
    "class": "a = task('x')(int)",
    "in a list": "A = [task('x')(lambda item: item)]",
    "nowhere": "task('x')(lambda item: item)",
    "in a loop": "for n in 'xyz':\n    task(n)(lambda item: item)",
    "by a function": "def make():\n    @task('x')\n    def f(item): return item\nmake()",
    "static": "class A:\n    @task('x')\n    @staticmethod\n    def f(item): return item",
    "under static": "class A:\n    @staticmethod\n    @task('x')\n    def f(item): return item",
    "bound": "class A:\n    def f(self, item): return item\na = task('x')(A().f)",
    "object": "class A:\n    def __call__(self, item): return item\na = task('x')(A())",
    "a second name": "@task('y')\ndef f(item): return item\na = task('x')(f)",
    "wrapped below": (
        "import functools\n@task('x')\n@functools.lru_cache\ndef f(item): return item"
    ),
    "optional": "@task('x')\ndef f(item, more=1, *rest, **named): return item",
    "from a helper": "from ._helper import hidden",
    "in a helper": "from . import _helper",
}
REFUSED = {
    "wrapped": (
        "import functools\ndef w(f):\n    @functools.wraps(f)\n    def g(*a): return f(*a)\n"
        "    return g\n@w\n@task('x')\ndef f(item): return item"
    ),
    "wrapped in an object": (
        "class W:\n    def __init__(self, f): self.f = f\n    def __call__(self, *a): ...\n"
        "@W\n@task('x')\ndef f(item): return item"
    ),
    "closed over": (
        "def w(f):\n    def g(*a): return f(*a)\n    return g\n@w\n@task('x')\ndef f(item): ..."
    ),
    "method": "class A:\n    @task('x')\n    def f(self, item): return item",
    "class method": "class A:\n    @task('x')\n    @classmethod\n    def f(cls, item): return item",
    "no item": "@task('x')\ndef f(): return 1",
    "two items": "@task('x')\ndef f(item, other): return 1",
    "by name": "@task('x')\ndef f(*, item): return 1",
    "no params": "class P: ...\n@task('x', params=P)\ndef f(item): return 1",
    "method with params": (
        "class P: ...\nclass A:\n    @task('x', params=P)\n    def f(self, item): return item"
    ),
    "params that are no class": "@task('x', params={})\ndef f(item, params): return 1",
    "generator": "@task('x')\ndef f(item): yield item",
    "asynchronous generator": "@task('x')\nasync def f(item): yield item",
    "generator object": "class A:\n    def __call__(self, item): yield 1\na = task('x')(A())",
    "value": "a = task('x')(3)",
    "async form": "@task('x')\ndef f(item): ...\n@f.async_form\nasync def _(item, more): ...",
    "twice": "@task('x')\ndef f(item): ...\n@task('x')\ndef g(item): ...",
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_function_is_registered_and_found_by_children(
    tmp_path: Path, form: str
) -> None:
    write(tmp_path, "_helper.py", "hidden = task('x')(lambda item: item)\n")
    write(tmp_path, "t.py", FORMS[form])
    registry = load(tmp_path)
    assert not registry.errors
    assert find_task(registry.sources, "x", registry["x"].module) is registry["x"]


@pytest.mark.parametrize("form", REFUSED)
def test_what_no_worker_could_run_as_written_is_an_error(tmp_path: Path, form: str) -> None:
    write(tmp_path, "t.py", REFUSED[form])
    (error,) = errors_of(tmp_path).values()
    assert "'x'" in error


def test_task_modules_import_each_other_by_either_name_once(tmp_path: Path) -> None:
    write(
        tmp_path, "a.py", "import neighbour_b\n@task('a')\ndef a(item): return neighbour_b.f(item)"
    )
    write(tmp_path, "neighbour_b.py", "from . import c\nimport neighbour_lib.part\n" + GOOD)
    with open(tmp_path / "neighbour_b.py", "a") as file:
        file.write("def f(item): return good(item) + neighbour_lib.part.N + c.own()\n")
    write(tmp_path, "c.py", "import json\nimport a\ndef own(): return json.dumps is not None\n")
    (tmp_path / "json.py").write_text("dumps = None")
    (tmp_path / "neighbour_lib").mkdir()
    (tmp_path / "neighbour_lib" / "part.py").write_text("N = 10")
    registry = load(tmp_path)
    assert not registry.errors
    assert registry["a"](1) == 12
    assert sys.modules["neighbour_b"] is sys.modules["batchpool_tasks.neighbour_b"]
    assert sys.modules["neighbour_b"].__spec__.name == "batchpool_tasks.neighbour_b"  # type: ignore[union-attr]
    other = tmp_path / "other"
    other.mkdir()
    write(other, "a.py", "import neighbour_lib")
    (error,) = load(other).errors
    assert "neighbour_lib" in error.error


def test_an_async_callable_runs_in_an_event_loop_only() -> None:
    class Fetch:
        async def __call__(self, item: Any) -> Any:
            return item

    fetch = task("fetch")(Fetch())
    assert fetch.run is None and fetch.run_async is not None


def test_a_module_keeps_its_hands_off_the_streams_of_the_worker(tmp_path: Path) -> None:
    streams = sys.stdin, sys.stdout, sys.stderr
    write(tmp_path, "t.py", f"import sys, io\nsys.stderr = sys.stdout = io.StringIO()\n{GOOD}")
    assert not load(tmp_path).errors
    assert (sys.stdin, sys.stdout, sys.stderr) == streams


def test_a_module_that_never_ends_its_import_costs_only_itself(tmp_path: Path) -> None:
    stuck = "try:\n    while True: pass\nexcept Exception: ...\n"
    write(tmp_path, "bad.py", stuck)
    write(tmp_path, "waits.py", "import time\ntime.sleep(60)\n")
    write(tmp_path, "zz.py", GOOD)
    registry = load_tasks(TaskSources(tasks_dir=str(tmp_path), import_limit_s=0.5))
    assert "good" in registry.tasks
    assert ["ImportTimeout" in error.error for error in registry.errors] == [True, True]
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("inside", [{}, {"_a.py": ""}, {"a.txt": ""}, {"a.py": "x = 1"}])
def test_a_folder_without_a_task_is_an_error(tmp_path: Path, inside: dict[str, str]) -> None:
    for name, text in inside.items():
        (tmp_path / name).write_text(text)
    (error,) = load(tmp_path).errors
    assert error.source == str(tmp_path) and "folder" in error.error


def test_a_folder_that_cannot_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    (error,) = load(tmp_path / "file").errors
    assert "NotADirectoryError" in error.error
    if os.geteuid() != 0:
        tmp_path.chmod(0o311)
        (error,) = load(tmp_path).errors
        assert "PermissionError" in error.error


def test_many_errors_are_all_counted(tmp_path: Path) -> None:
    for number in range(MOST_ERRORS + 50):
        (tmp_path / f"m{number:03}.py").write_text("1 / 0")
    errors = list(errors_of(tmp_path).items())
    assert len(errors) == MOST_ERRORS + 1
    assert errors[-1][0] == "50 more sources"
    assert f"{MOST_ERRORS + 50} errors in all" in errors[-1][1]


def test_the_log_has_the_traceback_from_the_users_own_code_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "bad.py", "def deeper():\n    return 1 / 0\ndeeper()\n")
    errors_of(tmp_path)
    (record,) = [r for r in caplog.records if r.name == "batchpool.runner"]
    text = record.getMessage()
    assert "ZeroDivisionError" in text and "in deeper" in text and "importlib" not in text


def test_a_task_that_sub_interpreters_cannot_import_is_announced_as_such(tmp_path: Path) -> None:
    write(tmp_path, "t.py", "from pydantic import BaseModel\n" + GOOD)
    tasks = capabilities(load(tmp_path)).tasks
    assert not tasks["good"].interpreters
    assert tasks["echo"].interpreters


def test_a_class_that_does_not_tell_its_module_keeps_no_task_from_being_announced(
    tmp_path: Path,
) -> None:
    meta = "class Meta(type):\n    __module__ = property(lambda cls: 1 / 0)\n"
    write(tmp_path, "t.py", f"{meta}class Hidden(metaclass=Meta): pass\n{GOOD}")
    assert "good" in capabilities(load(tmp_path)).tasks


@pytest.mark.parametrize("is_link", [False, True])
@pytest.mark.parametrize("edited", ["good.py", "helper.py", "pack/__init__.py"])
def test_what_was_edited_within_a_second_is_loaded_as_it_is_now(
    tmp_path: Path, edited: str, is_link: bool
) -> None:
    # A .pyc is taken for current by the size of its source and the second of its writing.
    folder = tmp_path / "tasks"
    (folder / "pack").mkdir(parents=True)
    write(folder, "good.py", f"import helper, pack\nVERSION = 1\n{GOOD}")
    for name in ("helper.py", "pack/__init__.py"):
        (folder / name).write_text("VERSION = 1\n")
    source = (
        "import sys\n"
        "from batchpool.tasks import TaskSources, load_tasks\n"
        "load_tasks(TaskSources(tasks_dir=sys.argv[1], entry_points=False))\n"
        "good = sys.modules['batchpool_tasks.good']\n"
        "print(good.VERSION + good.helper.VERSION + good.pack.VERSION)\n"
    )
    changed = folder / edited
    if is_link:
        elsewhere = changed.rename(tmp_path / "elsewhere.py")
        changed.symlink_to(elsewhere)
    os.utime(changed, (1e9, 1e9))
    assert subprocess_output(source, str(folder)) == "3"
    changed.write_text(changed.read_text().replace("VERSION = 1", "VERSION = 2"))
    os.utime(changed, (1e9, 1e9))
    assert subprocess_output(source, str(folder)) == "4"


def subprocess_output(source: str, *args: str) -> str:
    """What a process of this Python prints that may read and write a cache of bytecode."""
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environ.pop("PYTHONPYCACHEPREFIX", None)
    command = [sys.executable, "-c", source, *args]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()
