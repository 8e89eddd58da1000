"""How many CPUs this process may use: by affinity, and by the quota of its control groups."""

import os
from collections.abc import Sequence
from math import ceil
from pathlib import Path


def usable_cpus(root: Path = Path("/"), affinity: int | None = None) -> int:
    """The CPUs that this process may use, a share of one rounded up; at least 1.

    `os.cpu_count()` ignores both `taskset` and Docker's `--cpus`.

    Args:
        root: where `proc` and `sys` lie.
        affinity: how many CPUs it may be scheduled on; asked of the kernel by default.
    """
    quota = cgroup_quota(root)
    cpus = affinity or _affinity()
    return max(1, cpus if quota is None else min(cpus, ceil(quota)))


def cgroup_quota(root: Path = Path("/")) -> float | None:
    """The tightest CPU quota of the control groups around this process, in CPUs; None without one.

    Reads cgroup v2 (`cpu.max`) and v1 (`cpu.cfs_quota_us`), in the group itself and in all
    groups above it that can be seen from here.
    """
    v2, v1 = _cpu_groups(root)
    quotas = [*map(_quota_v2, v2), *map(_quota_v1, v1)]
    return min((quota for quota in quotas if quota is not None), default=None)


def throttled_s(root: Path = Path("/")) -> dict[str, float]:
    """How long each control group around this process has been throttled so far, by its path.

    Empty where nothing is known: without control groups, or outside of all that have a limit.
    """
    v2, v1 = _cpu_groups(root)
    # The mounts are links to one another: each group once.
    stats = {str(folder.resolve() / "cpu.stat"): None for folder in (*v2, *v1)}
    return {path: seconds for path in stats if (seconds := _throttled(Path(path))) is not None}


def _throttled(stat: Path) -> float | None:
    for line in _lines(stat):
        name, _, number = line.partition(" ")
        if name in ("throttled_usec", "throttled_time") and number.isdigit():
            return int(number) / (1e6 if name == "throttled_usec" else 1e9)
    return None


def cgroup_folders(controller: str, root: Path = Path("/")) -> list[Path]:
    """The folders of the control groups of a controller around this process: v2's, then v1's."""
    v2, v1 = _groups(root, controller, (controller,))
    return [*v2, *v1]


def _cpu_groups(root: Path) -> tuple[list[Path], list[Path]]:
    return _groups(root, "cpu", ("cpu", "cpu,cpuacct", "cpuacct,cpu"))


def _groups(root: Path, controller: str, mounts: Sequence[str]) -> tuple[list[Path], list[Path]]:
    v2: list[Path] = []
    v1: list[Path] = []
    for line in _lines(root / "proc/self/cgroup"):
        hierarchy, controllers, group = ([*line.split(":", 2), "", ""])[:3]
        if hierarchy == "0" and not controllers:
            v2 += _upwards(root / "sys/fs/cgroup", group)
        elif controller in controllers.split(","):
            for mount in mounts:
                v1 += _upwards(root / "sys/fs/cgroup" / mount, group)
    return v2, v1


def _upwards(mount: Path, group: str) -> list[Path]:
    # Inside a container the path may be that of the host (v1, or no cgroup namespace): parts
    # of it that are not there are passed over, and the mount's own root always counts.
    parts = [part for part in group.split("/") if part not in ("", "..")]
    return [mount.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _quota_v2(folder: Path) -> float | None:
    for line in _lines(folder / "cpu.max"):
        quota, _, period = line.partition(" ")
        return None if quota == "max" else _ratio(quota, period or "100000")
    return None


def _quota_v1(folder: Path) -> float | None:
    quota = "".join(_lines(folder / "cpu.cfs_quota_us"))
    period = "".join(_lines(folder / "cpu.cfs_period_us"))
    return _ratio(quota, period or "100000") if quota else None


def _ratio(quota: str, period: str) -> float | None:
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return share if share > 0 else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
