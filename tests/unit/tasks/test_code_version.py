"""The version of a task follows its module and what that imports of the project, nothing else."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpool.runner.capabilities import class_id
from batchpool.system.file_stamps import is_changed, is_changed_since, read_stamps, write_stamps
from batchpool.tasks import TaskSources, load_tasks
from batchpool.tasks.code_version import CodeReader
from batchpool.tasks.registry import find_task

TASK = "from batchpool.tasks import task\n@task('t')\ndef t(item): return 1\n"
PROJECT = {
    "tasks/t.py": "import shopped.prices as p, json\n" + TASK,
    "tasks/near.py": "",
    "tasks/other.py": "from batchpool.tasks import task\ntask('other')(len)\n",
    "shopped/__init__.py": "",
    "shopped/prices.py": "from shopped import (  # all of it\n    deep,\n)\n",
    "shopped/deep.py": "def f():\n    from .below import far; from . import last\n",
    "shopped/below/__init__.py": "",
    "shopped/below/far.py": "import jsonschema",
    "shopped/last.py": "N = 1\n",
    "shopped/unused.py": "",
}
UNUSED = ["tasks/near.py", "tasks/other.py", "shopped/unused.py"]
USED = [name for name in PROJECT if name not in UNUSED]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def version(project: Path, task: str = "t") -> str:
    for name in [name for name in sys.modules if name.startswith(("shopped", "batchpool_tasks"))]:
        del sys.modules[name]
    sources = TaskSources(root=str(project), tasks_dir=str(project / "tasks"), entry_points=False)
    registry = load_tasks(sources)
    assert class_id(registry)
    return registry.code_of(task)


@pytest.mark.parametrize(
    "source",
    [
        "\ufeffimport shopped.last\n",
        "\ufefffrom shopped import last\n",
        "import json, \\\n    shopped.last\n",
        "import json, \\\r\n    shopped.last\r\n",
        "import json\rimport shopped.last\r",
        "from shopped import \\\n    last\n",
        "from shopped import (  # noqa: F401 (all of it)\n    last,\n)\n",
        "\fimport shopped.last\n",
        "from größe import N\n",
        "from shopped.last import(N)\n",
        "from . import t\nfrom.linked import N\n",
        "from .  linked import N\n",
        "from important import N\n",
        "from  important  import  N\n",
    ],
)
def test_an_import_is_found_however_it_is_written(project: Path, source: str) -> None:
    for path in (project / "größe.py", project / "important.py", project / "tasks" / "linked.py"):
        path.write_text("from shopped.last import N\n", encoding="utf-8")
    (project / "tasks" / "t.py").write_bytes((source + TASK).encode())
    first = version(project)
    (project / "shopped" / "last.py").write_text("N = 2\n")
    assert version(project) != first


@pytest.mark.parametrize("name", USED)
def test_a_change_of_any_file_that_the_task_imports_is_another_version(
    project: Path, name: str
) -> None:
    first = version(project)
    (project / name).write_text(PROJECT[name] + "# more\n")
    assert version(project) != first
    (project / name).write_text(PROJECT[name])
    assert version(project) == first


def test_a_change_of_another_file_is_no_other_version(project: Path) -> None:
    first, echo = version(project), version(project, "echo")
    for name in UNUSED:
        (project / name).write_text(PROJECT[name] + "# more\n")
    (project / "tasks" / "new.py").write_text("import json")
    assert version(project) == first
    (project / "shopped" / "last.py").unlink()
    assert version(project) != first
    assert version(project, "echo") == echo


def test_the_place_of_the_project_is_no_part_of_the_version(project: Path, tmp_path: Path) -> None:
    first = version(project)
    for name in os.listdir(project):
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        (project / name).rename(tmp_path / "elsewhere" / name)
    assert version(tmp_path / "elsewhere") == first


def test_the_version_of_an_installed_package_counts(project: Path) -> None:
    installed = project / "site-packages"
    (installed / "vendored").mkdir(parents=True)
    (installed / "vendored" / "__init__.py").write_text("from .inner import N")
    (installed / "vendored" / "inner.py").write_text("N = 1")
    (installed / "vendored-1.0.dist-info").mkdir()
    (project / "shopped" / "last.py").write_text("import vendored")
    sys.path.append(str(installed))
    first = version(project)
    (installed / "vendored" / "inner.py").write_text("N = 2")
    assert version(project) == first, "only its version is looked at"
    (installed / "vendored-1.0.dist-info").rename(installed / "vendored-1.1.dist-info")
    assert version(project) != first


def test_unknown_modules_have_a_version_too() -> None:
    assert CodeReader(()).read("no.such.module").files == ()


def test_a_file_that_is_written_replaced_or_removed_is_seen(tmp_path: Path) -> None:
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("x")
    two.write_text("y")
    write_stamps(tmp_path, {"m": [str(one)], "folder": [str(tmp_path)]})

    def changed(name: str) -> bool:
        return is_changed(read_stamps(tmp_path)[name])

    assert not changed("m") and not changed("folder")
    status = one.stat()
    one.write_text("z")
    os.utime(one, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert changed("m"), "by its content, though its size and its time are what they were"
    write_stamps(tmp_path, {"m": [str(one)], "folder": [str(tmp_path)]})
    two.replace(one)
    assert changed("m") and changed("folder")
    one.unlink()
    assert changed("m")
    assert read_stamps(tmp_path / "none") == {}


def test_a_link_to_a_folder_that_leads_elsewhere_is_seen(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.py").write_text(TASK)
    link = tmp_path / "link"
    link.symlink_to("one")
    registry = load_tasks(TaskSources.from_env({"BATCHPOOL_TASKS_DIR": str(link)}))
    write_stamps(tmp_path, {"all": registry.watched})
    assert not is_changed(read_stamps(tmp_path)["all"])
    link.unlink()
    link.symlink_to("two")
    assert is_changed(read_stamps(tmp_path)["all"])
    assert find_task(registry.sources, "t", registry["t"].module) is registry["t"]


def test_a_file_that_changed_while_it_was_loaded_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text("x")
    assert is_changed_since([str(path)], path.stat().st_ctime_ns)
    assert not is_changed_since([str(path)], time.time_ns() + 1)
    assert is_changed_since([str(tmp_path / "gone.py")], 0)
