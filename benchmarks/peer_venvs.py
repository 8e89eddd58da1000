"""A virtual environment per peer, made once from its pinned requirements."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent


def cache_folder() -> Path:
    """`BENCH_CACHE`, or a folder in the user's cache."""
    given = os.environ.get("BENCH_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "batchpool-bench"


def ensure_venv(name: str) -> str:
    """The Python of a peer's environment, which is created if its requirements have changed."""
    requirements = _HERE / "requirements" / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache_folder() / f"{name}-{digest}"
    python = folder / "bin" / "python"
    stamp = folder / ".complete"
    if not stamp.exists():
        print(f"setting up {name} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(requirements)], check=True)
        stamp.touch()
    return str(python)


def version_of(name: str, package: str) -> str:
    """The version that a peer's requirements pin."""
    for line in (_HERE / "requirements" / f"{name}.txt").read_text().splitlines():
        found, _, version = line.partition("==")
        if found.lower() == package:
            return version
    return "?"
