"""Folders, modules and functions stay small, and values that travel have types."""

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("client", "service", "workers")
FILES = sorted(path for part in PARTS for path in ROOT.glob(f"{part}/**/*.py"))
MOST_MODULES, MOST_LINES, MOST_FUNCTION_LINES = 18, 300, 40
MOST_UNTYPED_LINES = 44
SCRIPTS = sorted((ROOT / "service/batchpool/pages/static").glob("*.js"))
MOST_SCRIPT_LINES = 1500
UNTYPED = re.compile(r"\b(dict|Mapping)\[str, Any\]")


def show(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_flat_folder_has_over_18_modules() -> None:
    modules = Counter(path.parent for path in FILES if path.name != "__init__.py")
    assert {show(folder): n for folder, n in modules.items() if n > MOST_MODULES} == {}


def test_no_module_has_over_300_lines() -> None:
    lines = {show(path): len(path.read_text().splitlines()) for path in FILES}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_no_function_has_over_40_lines() -> None:
    found = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > MOST_FUNCTION_LINES:
                    found[f"{show(path)}: {node.name}"] = lines
    assert found == {}


def test_few_lines_have_a_dict_of_anything() -> None:
    lines = [
        f"{show(path)}: {line.strip()}"
        for path in FILES
        for line in path.read_text().splitlines()
        if UNTYPED.search(line)
    ]
    assert len(lines) <= MOST_UNTYPED_LINES, "\n".join(lines)


def test_the_scripts_of_the_pages_stay_small() -> None:
    """Counted without comments, which hold the types, and without blank lines."""
    code = [
        line
        for path in SCRIPTS
        for line in path.read_text().splitlines()
        if line.strip() and not line.lstrip().startswith(("//", "/**", "*"))
    ]
    assert 1000 < len(code) < MOST_SCRIPT_LINES
