"""What differs between two JSON documents, and which of it is meant."""

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Any


def differences(before: Any, now: Any, path: str = "") -> set[str]:
    """What has gone (-), come (+) or changed (!), by its place."""
    if isinstance(before, dict) and isinstance(now, dict):
        gone = {f"-{path}/{name}" for name in before.keys() - now.keys()}
        come = {f"+{path}/{name}" for name in now.keys() - before.keys()}
        both = [differences(before[n], now[n], f"{path}/{n}") for n in before.keys() & now.keys()]
        return gone.union(come, *both)
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        parts = zip(before, now, strict=True)
        return set().union(*(differences(b, n, f"{path}/{i}") for i, (b, n) in enumerate(parts)))
    return set() if before == now else {f"!{path}: {before!r} -> {now!r}"}


def check_differences(found: Collection[str], meant: Collection[str]) -> None:
    """Fail for a difference that no pattern in `meant` names, and for a pattern of none."""
    assert [each for each in sorted(found) if not any(fnmatchcase(each, p) for p in meant)] == []
    assert [pattern for pattern in meant if not any(fnmatchcase(f, pattern) for f in found)] == []
