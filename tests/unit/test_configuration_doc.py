"""docs/configuration.md is what the code makes of its declarations, and names every variable."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from batchpool.api.settings import ApiSettings
from batchpool.settings import (
    TASK_SETTINGS,
    ReconcilerSettings,
    WorkerSettings,
    declared_settings,
)

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/configuration.md"
VARIABLE = re.compile(r"\bBATCHPOOL_[A-Z][A-Z_]*[A-Z]\b")


def in_the_code() -> set[str]:
    sources = [path for name in ("client", "service", "workers") for path in _python(ROOT / name)]
    sources += [ROOT / "docker-compose.yml", *_python(ROOT / "tests/compose")]
    return {name for path in sources for name in VARIABLE.findall(path.read_text())}


def _python(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def made_page() -> str:
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs/make_configuration.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.render())


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == made_page(), "run `make docs`"


def test_every_variable_is_documented_and_every_documented_one_exists() -> None:
    assert set(VARIABLE.findall(PAGE.read_text())) == in_the_code()


COMPOSE_SETS = {
    "BATCHPOOL_API_HOST",
    "BATCHPOOL_API_PORT",
    "BATCHPOOL_API_FD",
    "BATCHPOOL_WORKER_NAME",
}
"""Containers have these from the image, or must not have them."""


@pytest.mark.parametrize(
    ("service", "owners"),
    [
        ("api", (ApiSettings,)),
        ("reconciler", (ReconcilerSettings,)),
        ("worker", (WorkerSettings, None)),
    ],
)
def test_compose_passes_every_setting_on(service: str, owners: tuple[Any, ...]) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    given = set(compose["services"][service]["environment"])
    declared = [declared_settings(owner).values() if owner else TASK_SETTINGS for owner in owners]
    assert given == {each.variable for part in declared for each in part} - COMPOSE_SETS
