"""docs/configuration.md and the code name the same variables."""

import re
from pathlib import Path

from batchpool.api.settings import SETTINGS

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs/configuration.md").read_text()
VARIABLE = re.compile(r"\bBATCHPOOL_[A-Z][A-Z_]*[A-Z]\b")


def in_the_code() -> set[str]:
    sources = [path for name in ("client", "service", "workers") for path in _python(ROOT / name)]
    sources += [ROOT / "docker-compose.yml", *_python(ROOT / "tests/compose")]
    return {name for path in sources for name in VARIABLE.findall(path.read_text())}


def _python(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def test_every_variable_is_documented_and_every_documented_one_exists() -> None:
    assert set(VARIABLE.findall(DOC)) == in_the_code()


def test_the_documented_defaults_are_the_real_ones() -> None:
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]*)`", DOC, re.MULTILINE))
    assert {s.variable: str(s.default) for s in SETTINGS}.items() <= documented.items()
