"""The CPUs that may be used are those of affinity and of the tightest quota."""

from pathlib import Path

import pytest

from batchpool.system.cpus import cgroup_quota, throttled_s, usable_cpus


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2 = "0::/a/b\n"
V1 = "12:memory:/x\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"


@pytest.mark.parametrize(
    ("files", "affinity", "expected"),
    [
        ({}, 8, 8),
        ({"proc/self/cgroup": V2}, 8, 8),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, 8, 8),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"}, 8, 2),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/a/cpu.max": "300000 100000\n"}, 8, 3),
        (
            {
                "proc/self/cgroup": V2,
                "sys/fs/cgroup/a/cpu.max": "100000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
            },
            8,
            1,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 50000\n"}, 8, 5),
        ({"proc/self/cgroup": "0::/../x\n", "sys/fs/cgroup/cpu.max": "10000 100000\n"}, 8, 1),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/a/cpu.max": "900000 100000\n"}, 4, 4),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/a/cpu.max": "nonsense\n"}, 4, 4),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/a/cpu.max": ""}, 4, 4),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "200000\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
            },
            8,
            2,
        ),
        # Inside a container the path is the host's, and the mount shows the group itself.
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            8,
            1,
        ),
        (
            {"proc/self/cgroup": V1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n"},
            8,
            8,
        ),
    ],
)
def test_the_tightest_bound_counts(
    tmp_path: Path, files: dict[str, str], affinity: int, expected: int
) -> None:
    assert usable_cpus(lay_out(tmp_path, files), affinity) == expected


def test_this_machine_has_some() -> None:
    assert usable_cpus() >= 1
    assert cgroup_quota() is None or cgroup_quota() > 0  # type: ignore[operator]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, {}),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/cpu.stat": "usage_usec 5\n"}, {}),
        (
            {
                "proc/self/cgroup": V2,
                "sys/fs/cgroup/a/b/cpu.stat": "usage_usec 5\nnr_throttled 2\nthrottled_usec 1500\n",
                "sys/fs/cgroup/a/cpu.stat": "throttled_usec 0\n",
            },
            {"a/b": 0.0015, "a": 0.0},
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/cpu.stat": "nr_periods 9\nthrottled_time 2500000000\n",
            },
            {"cpu,cpuacct": 2.5},
        ),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/cpu.stat": "throttled_usec soon\n"}, {}),
    ],
)
def test_how_long_each_group_was_kept_from_the_cpu(
    tmp_path: Path, files: dict[str, str], expected: dict[str, float]
) -> None:
    groups = lay_out(tmp_path, files) / "sys/fs/cgroup"
    assert throttled_s(tmp_path) == {
        str(groups / name / "cpu.stat"): seconds for name, seconds in expected.items()
    }


def test_a_group_that_is_mounted_under_two_names_counts_once(tmp_path: Path) -> None:
    stat = {"sys/fs/cgroup/cpu,cpuacct/cpu.stat": "throttled_time 1000000000\n"}
    lay_out(tmp_path, {"proc/self/cgroup": V1} | stat)
    (tmp_path / "sys/fs/cgroup/cpu").symlink_to("cpu,cpuacct")
    assert list(throttled_s(tmp_path).values()) == [1.0]
