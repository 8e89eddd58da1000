"""No name and no docstring has a home-made word where the field has a term."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path for part in ("client", "service", "workers") for path in ROOT.glob(f"{part}/**/*.py")
)
BANNED = set("crew station slate desk hub intake gate seat spoilt held lane mend tell bear".split())
ALLOWED = {
    # Of the GIL, and of locks, "held" is the field's word.
    "gil_held",
    "GIL_HELD_FROM",
    "is_held_by_gil",
    "_held_share",
    "held_s",
}
LANE_FILES = {
    "trace.py": "a row of a trace is a lane, as in every trace viewer",
    "scalability_fit.py": "a field of a comparison's document has the name `lanes`",
}
HELD_IN_TEXT = re.compile(r"\b(GIL|locks?)\b")
"""A docstring may say "held" where it says of what."""


def words_of(name: str) -> set[str]:
    """The words of a name, split at `_` and capitals; a plural counts as its singular."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {form for word in words for form in (word.lower(), word.lower().removesuffix("s"))}


def names_in(tree: ast.AST) -> Iterator[str]:
    """The names of classes, functions, parameters, variables and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword | ast.alias):
            yield (node.arg if isinstance(node, ast.keyword) else node.asname) or ""


def texts_in(tree: ast.AST) -> Iterator[str]:
    """All docstrings, those of attributes included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if isinstance(node.value.value, str):
                yield node.value.value


def is_allowed(name: str, word: str, path: Path) -> bool:
    return name in ALLOWED or (word == "lane" and has_lanes(path))


def has_lanes(path: Path) -> bool:
    """Whether a file is about a timeline, whose rows are lanes, or is a listed one."""
    of_timeline = path.parent.name == "timeline" or path.stem.startswith("timeline")
    return of_timeline or path.name in LANE_FILES


def show(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_name_has_a_banned_word() -> None:
    found = set()
    for path in FILES:
        names = {*names_in(ast.parse(path.read_text())), path.stem, path.parent.name}
        for name in names:
            for word in words_of(name) & BANNED:
                if not is_allowed(name, word, path):
                    found.add(f"{show(path)}: {name}")
    assert sorted(found) == []


def test_no_docstring_has_a_banned_word() -> None:
    found = []
    for path in FILES:
        for text in texts_in(ast.parse(path.read_text())):
            for word in {
                word for each in re.findall(r"\w+", text) for word in words_of(each)
            } & BANNED:
                if word == "held" and HELD_IN_TEXT.search(text):
                    continue
                if word == "lane" and has_lanes(path):
                    continue
                found.append(f"{show(path)}: {word}: {text.splitlines()[0]}")
    assert found == []


@pytest.mark.parametrize(
    ("name", "words"),
    [("_pool_lanes", {"pool", "lane"}), ("HTTPDesk", {"http", "desk"}), ("gate_1", {"gate"})],
)
def test_names_are_split_at_underscores_and_capitals(name: str, words: set[str]) -> None:
    assert words <= words_of(name)
