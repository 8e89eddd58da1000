"""The layout of the packages: small folders."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_MODULES = 18


def test_no_folder_has_more_modules_than_a_reader_can_survey() -> None:
    folders = [
        folder
        for top in ("client", "service", "workers")
        for folder in (ROOT / top / "batchpool").rglob("*")
        if folder.is_dir()
    ]
    sizes = {
        str(folder.relative_to(ROOT)): len(
            [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        )
        for folder in folders
    }
    assert len(sizes) > 20
    assert {name: size for name, size in sizes.items() if size > MOST_MODULES} == {}
