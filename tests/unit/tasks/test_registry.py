"""Tasks are found, named once, and keep to their bounds."""

import asyncio
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from batchpool.errors import InvalidParams, UnknownTask
from batchpool.tasks import Registry, TaskSources, load_tasks, task
from batchpool.tasks.builtin import files as files_module
from batchpool.tasks.builtin.files import FilesParams, OutsideRoots, files, split_roots
from batchpool.tasks.registry import find_task

BUILTIN = {"sleep", "cpu", "mixed", "hash", "files", "echo", "fail", "crash", "leak"}
BOTH_FORMS = {"sleep", "mixed", "echo", "fail", "crash", "leak"}


@pytest.fixture(scope="module")
def builtin() -> Registry:
    return load_tasks(TaskSources(entry_points=False))


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"from batchpool.tasks import task\n{text}")


def load(folder: Path) -> Registry:
    return load_tasks(TaskSources(tasks_dir=str(folder), entry_points=False))


def test_all_builtin_tasks_are_there(builtin: Registry) -> None:
    assert set(builtin.tasks) == BUILTIN
    assert not builtin.errors
    assert {name for name, known in builtin.tasks.items() if known.run_async} == BOTH_FORMS
    assert all(known.run and known.description for known in builtin.tasks.values())


def test_each_params_model_has_a_schema_and_defaults(builtin: Registry) -> None:
    for name, known in builtin.tasks.items():
        schema = builtin.schema_of(name)
        if known.params is None:
            assert schema is None
            continue
        assert schema is not None
        assert schema["additionalProperties"] is False
        assert not schema.get("required")
        assert isinstance(builtin.params_of(name, {}), known.params)


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("sleep", {"seconds": -1}, "params.seconds"),
        ("sleep", {"seconds": 3601}, "params.seconds"),
        ("sleep", {"seconds": float("nan")}, "params.seconds"),
        ("sleep", {"second": 1}, "params.second"),
        ("cpu", {"iterations": 0}, "params.iterations"),
        ("cpu", {"iterations": 1.5}, "params.iterations"),
        ("cpu", {"iterations": 10**12}, "params.iterations"),
        ("mixed", {"seconds": "x"}, "params.seconds"),
        ("hash", {"size_bytes": 1 << 40}, "params.size_bytes"),
        ("hash", {"rounds": 0}, "params.rounds"),
        ("files", {"count": "pages"}, "params.count"),
        ("fail", {"share": 2}, "params.share"),
        ("crash", {"how": "softly"}, "params.how"),
        ("leak", {"leaves": "water"}, "params.leaves"),
        ("echo", {"any": 1}, "params"),
    ],
)
def test_params_out_of_bounds_are_refused_by_name(
    builtin: Registry, name: str, params: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidParams) as refused:
        builtin.params_of(name, params)
    assert refused.value.field == field


def test_an_unknown_task_is_refused_with_what_is_known(builtin: Registry) -> None:
    with pytest.raises(UnknownTask, match="'echo'"):
        builtin["os.system"]


def test_a_folder_of_tasks_is_loaded_and_its_failures_are_told(tmp_path: Path) -> None:
    write(tmp_path, "good.py", "@task('good')\ndef good(item):\n    'Be good.'\n    return item\n")
    write(tmp_path, "broken.py", "import no_such_module\n")
    write(tmp_path, "leaves.py", "raise SystemExit(3)\n")
    write(tmp_path, "taken.py", "@task('echo')\ndef echo(item): ...\n")
    write(tmp_path, "_hidden.py", "raise RuntimeError\n")
    write(
        tmp_path, "borrows.py", "from .good import good\n@task('mine')\nasync def mine(item): ...\n"
    )
    registry = load(tmp_path)
    assert {"good", "mine", *BUILTIN} == set(registry.tasks)
    told = {Path(error.source).name: error.error for error in registry.errors}
    assert told["broken.py"] == "ModuleNotFoundError: No module named 'no_such_module'"
    assert told["leaves.py"] == "SystemExit: 3"
    assert "taken" in told["taken.py"]
    assert set(told) == {"broken.py", "leaves.py", "taken.py"}
    assert registry["mine"].run is None
    assert registry["good"].description == "Be good."
    child_finds = find_task(registry.sources, "good", registry["good"].module)
    assert child_finds is registry["good"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    (error,) = load(tmp_path / "none").errors
    assert "none" in error.error


def test_another_folder_takes_the_place_of_the_first(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "same.py", f"@task('same')\ndef same(item): return {name!r}\n")
    assert load(tmp_path / "one")["same"](0) == "one"
    assert load(tmp_path / "two")["same"](0) == "two"


def test_the_version_follows_the_code(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "@task('a')\ndef a(item): return 1\n")
    first = load(tmp_path).version
    assert load(tmp_path).version == first
    write(tmp_path, "a.py", "@task('a')\ndef a(item): return 2\n")
    assert load(tmp_path).version != first


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 101, "\n"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(ValueError, match="task name"):
        task(name)


def test_an_async_form_must_be_async() -> None:
    @task("some")
    def some(item: Any) -> Any:
        return item

    with pytest.raises(TypeError, match="async"):
        some.async_form(lambda item: item)  # type: ignore[arg-type, return-value]


def test_async_forms_do_what_their_tasks_do(builtin: Registry) -> None:
    for name, params in (("sleep", {"seconds": 0}), ("mixed", {"seconds": 0}), ("echo", {})):
        known = builtin[name]
        args = () if known.params is None else (builtin.params_of(name, params),)
        assert known.run is not None
        assert known.run_async is not None
        for item in (3, "x", None):
            async_form = asyncio.run(known.run_async(item, *args))  # type: ignore[arg-type]
            assert known.run(item, *args) == async_form == item


@pytest.fixture
def roots(tmp_path: Path) -> Any:
    for name in ("one", "two", "outside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "text").write_text("two words\nand \x0b three more\nno end")
    files_module.allow_roots((str(tmp_path / "one"), str(tmp_path / "two")))
    yield tmp_path
    files_module.allow_roots(())


def test_files_below_the_roots_are_counted(roots: Path) -> None:
    (roots / "two" / "only").write_bytes(b"\n\n")
    assert files("text", FilesParams("lines")) == 2
    assert files(str(roots / "two" / "text"), FilesParams("words")) == 7
    assert files("text", FilesParams("bytes")) == 33
    (roots / "one" / "link").symlink_to(roots / "two" / "only")
    assert files("link", FilesParams()) == 2, "a link from root to root stays inside"


@pytest.mark.parametrize(
    "item",
    ["../outside/text", "/etc/passwd", "away/text", "away-file", "../one-more", "a\0b", 3, None],
)
def test_files_outside_the_roots_are_not_read(roots: Path, item: Any) -> None:
    (roots / "one" / "away").symlink_to(roots / "outside")
    (roots / "one" / "away-file").symlink_to(roots / "outside" / "text")
    (roots / "one-more").write_text("x")
    with pytest.raises((OutsideRoots, ValueError, TypeError)):
        files(item, FilesParams())


def test_a_pipe_or_a_missing_file_does_not_hang(roots: Path) -> None:
    os.mkfifo(roots / "one" / "pipe")
    with pytest.raises(ValueError, match="regular"):
        files("pipe", FilesParams())
    with pytest.raises((FileNotFoundError, OutsideRoots)):
        files("missing", FilesParams())


def test_without_roots_nothing_is_read() -> None:
    assert split_roots("") == ()
    assert split_roots(f"/a{os.pathsep}/b") == ("/a", "/b")
    with pytest.raises(OutsideRoots, match=r"BATCHPOOL_FILES_ROOT .*--files-root DIR"):
        files("/etc/passwd", FilesParams())


@pytest.mark.skipif(shutil.which("wc") is None, reason="needs wc")
@pytest.mark.parametrize(("count", "flag"), [("lines", "-l"), ("words", "-w"), ("bytes", "-c")])
def test_counts_are_those_of_wc(roots: Path, count: Any, flag: str) -> None:
    texts = [
        "",
        "\n",
        "x",
        " x ",
        "a\u00a0b\u3000c\u2003d",
        "ä — ö\r\n",
        "é" * 1_048_575 + "\u3000b c",
    ]
    texts += ["x" * 1_048_575 + " y", "x" * 1_048_576 + "y z", "a\u0085b\x1cc"]
    for number, text in enumerate(texts):
        (roots / "one" / f"t{number}").write_text(text, newline="")
    library = Path(sysconfig.get_paths()["stdlib"])
    files_module.allow_roots((str(roots / "one"), str(library)))
    paths = [*sorted((roots / "one").glob("t*")), *sorted(library.glob("*.py"))]
    shown = subprocess.run(
        ["wc", flag, *paths], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    expected = [int(line.split()[0]) for line in shown.stdout.splitlines()[:-1]]
    assert [files(str(path), FilesParams(count)) for path in paths] == expected
