"""Values that charts are drawn from in tests: small, fixed, and with each mark of the grammar."""

from batchpool.charts.heat_map import Cell, Grid
from batchpool.charts.queue_curve import Sample
from batchpool.charts.ratio_dots import ArmRatio
from batchpool.charts.result_card import Card, CardRow
from batchpool.charts.scaling_curve import Law, Point
from batchpool.charts.stacked_parts import ArmParts
from batchpool.charts.timeline_arms import ArmRun
from batchpool.charts.timeline_document import Bars, Lane, Mark, MarkKind, Timeline

ARMS = (
    ArmRatio("sequential", 1.0, None, None, (0.98, 1.31, 1.02, 0.68, 1.0, 1.12), "reference"),
    ArmRatio(
        "threading 4",
        0.92,
        0.73,
        1.11,
        (0.67, 0.71, 1.08, 0.95, 0.9, 0.88),
        "no difference shown",
    ),
    ArmRatio("process-pool 4", 1.89, 1.31, 2.24, (1.3, 2.2, 1.95, 1.83, 2.24, 1.6), "faster", True),
    ArmRatio("multiprocessing 4", 0.61, 0.55, 0.7, (0.6, 0.55, 0.7, 0.62), "slower"),
    ArmRatio("asyncio 4", 1.4, 1.2, 1.6, (1.2, 1.6, 1.5), None),
)

CARD = Card(
    "Take process-pool 4. It is 1.89 times as fast as sequential.",
    "cpu, 8 items; 10 rounds, seed 7; Python 3.14.0 without the GIL; 2 CPUs; batchpool 0.2.0",
    (
        CardRow("sequential", 0.655, 1.0, "reference"),
        CardRow("threading 4", 0.701, 0.92, "no difference shown"),
        CardRow("process-pool 4", 0.347, 1.89, "faster", True),
        CardRow("an arm that failed & has a long name of its own", None, None, "no verdict"),
    ),
    (
        ("passed", "process-pool:4 > 1.2 * sequential (above 1.2)"),
        ("failed", "threading:4 > 1.2 * sequential (below 1.2)"),
        ("not proven", "threading:4 > 0.95 * sequential (0.95 is within the interval)"),
    ),
    "batchpool compare cpu --count 8 --arm sequential:1x1 --arm threading:1x4 --seed 7 --rounds 10",
)

PARTS = (
    ArmParts("sequential", 0.655, {"startup": 0.004, "cpu": 0.635, "contention": 0.006}),
    ArmParts(
        "threading 4",
        0.701,
        {"startup": 0.061, "cpu": 0.168, "contention": 0.43, "idle": 0.042},
    ),
    ArmParts(
        "thread-pool 4",
        0.67,
        {"startup": 0.005, "dispatch": 0.02, "cpu": 0.16, "wait": 0.05, "contention": 0.42},
    ),
    ArmParts("not split", 0.5, {"startup": 0.1, "cpu": 0.2, "unknown": 0.2}),
)

GRID = Grid(
    "batches",
    "concurrency in each batch",
    ("1", "2"),
    ("1", "2", "4", "8"),
    {
        (0, 0): Cell(1.0, None, None, "reference"),
        (0, 1): Cell(1.02, 0.96, 1.09, "not shown"),
        (0, 2): Cell(3.74, 3.57, 3.86, "shown"),
        (0, 3): Cell(5.66, 5.01, 6.18, "shown"),
        (1, 0): Cell(0.8, 0.75, 0.86, "shown"),
        (1, 1): Cell(1.97, 1.93, 2.0, "shown"),
        (1, 3): Cell(9.32, 7.72, 9.98, "shown", is_best=True),
    },
)

POINTS = (
    Point(1, 1.0),
    Point(2, 1.97, 1.93, 2.0),
    Point(4, 3.74, 3.57, 3.86),
    Point(8, 5.66, 5.01, 6.18),
)
LAW = Law(alone=1.0, serial=0.01, crosstalk=0.0068)
NO_LAW = (
    "No law was fitted: the arms have 2 different numbers of tasks in flight; at least 3 are "
    "needed."
)

QUEUE: list[Sample] = [
    (5.0 * at, value)
    for at, value in enumerate((0, 0, 3, 3, 9, 12, 12, 8, 8, 4, 4, 4, 2, 0, 0, 1, 1))
]


def lane(
    worker: str, pid: int, items: int, first_s: float = 0.5, states: dict[int, str] | None = None
) -> Lane:
    """A lane whose items take 0.4 s to 0.9 s one after the other and compute in part."""
    start, wall, cpu, at = [], [], [], first_s
    for number in range(items):
        length = 0.4 + 0.1 * (number * 7 % 6)
        start.append(round(at, 3))
        wall.append(round(length, 3))
        cpu.append(round(length * (number * 5 % 8) / 8, 3))
        at += length + (0.02 if number % 5 else 0.3)
    bars = Bars(
        index=list(range(items)),
        start=start,
        wall=wall,
        cpu=cpu,
        state="".join((states or {}).get(number, "s") for number in range(items)),
        attempt=[1] * items,
        epoch=[1] * items,
        batch=[0] * items,
    )
    return Lane(
        host="vm",
        worker=worker,
        pid=pid,
        ppid=1600,
        thread=None,
        items=items,
        label=f"PID {pid}",
        bars=bars,
        bins=None,
        starts=[[0.05, first_s]],
        queue=[],
    )


def mark(kind: MarkKind, at: float, worker: str, text: str, row: int | None = None) -> Mark:
    """A mark of batch 0; a lost worker gave its last sign of life 4.2 s before."""
    return {
        "at": at,
        "kind": kind,
        "worker": worker,
        "lane": row,
        "batch": 0,
        "epoch": 2,
        "from": at - 4.2 if kind == "worker_lost" else None,
        "kept": 40,
        "items": 1,
        "text": text,
    }


def timeline(lanes: list[Lane], marks: list[Mark] | None = None, end: float = 16.0) -> Timeline:
    """A finished job of these lanes."""
    items = sum(each["items"] for each in lanes)
    return {
        "job": "1a217e95dc24e84bf0f0020f",
        "state": "failed",
        "submitted_at": "2026-11-26T12:51:39.591Z",
        "from": 0.0,
        "to": end,
        "end": end,
        "now": None,
        "width": 1200,
        "binned": any(each["bins"] for each in lanes),
        "bin_s": None,
        "total": items + 3,
        "shown": items,
        "overview": [],
        "lanes": lanes,
        "lanes_total": len(lanes),
        "lanes_shown": len(lanes),
        "marks": marks or [],
        "shared_sum": None,
    }


def takeover() -> Timeline:
    """A job that runs: one worker was lost, another took over, items ended in each state."""
    lanes = [
        lane("vm-1613", 1642, 20, states={3: "f", 9: "t", 19: "r"}),
        lane("vm-1613", 1645, 20, states={5: "x", 12: "c", 19: "r"}),
        lane("vm-1615", 1647, 7),
        lane("vm-1615", 1650, 7, 0.7),
        lane("vm-1684", 1731, 11, 5.6),
    ]
    lanes[4]["queue"] = [[0.0, 5.0]]
    lanes[4]["starts"] = [[5.0, 5.6]]
    marks = [
        mark("worker_lost", 9.4, "vm-1615", "lost, noticed"),
        mark("takeover", 11.2, "vm-1613", "takes over batch 0, keeps 40 of its 140 items"),
        mark("run_again", 11.5, "vm-1613", "item 41 run again", 1),
        mark("refused_write", 12.6, "vm-1615", "a late write was refused", 3),
    ]
    document = timeline(lanes, marks)
    document["now"] = 14.6
    document["shared_sum"] = {"lane": {"0": [[0.5, 2.0], [4.0, 12.0], [9.0, 30.0], [13.0, 41.0]]}}
    return document


def binned() -> Timeline:
    """A million items: shares of time per bin, and one that failed."""
    lanes = [lane("vm-1613", 1625, 0), lane("vm-2017", 2027, 0)]
    for number, each in enumerate(lanes):
        each["bars"], each["starts"], each["thread"] = None, [], f"thread-pool_{number}"
        each["label"], each["items"] = f"thread {number}", 500_000
        busy = [90 - (at * 13 + number * 7) % 40 if 2 <= at < 190 else 0 for at in range(200)]
        cpu = [share * (at * 5 % 9) // 12 for at, share in enumerate(busy)]
        each["bins"] = {"busy": busy, "cpu": cpu, "failed": []}
    assert lanes[1]["bins"]
    lanes[1]["bins"]["failed"] = [[97, 734_501, 1], [101, 734_900, 3], [198, 999_999, 1]]
    document = timeline(lanes, end=4.0)
    document["total"] = document["shown"] = 1_000_000
    return document


def arm_runs() -> list[ArmRun]:
    """Three arms of which the second has four lanes."""

    def run(name: str, wall_s: float, lanes: int, items: int) -> ArmRun:
        rows = [lane("vm-2017", 2000 + at, items, 0.05 + 0.03 * at) for at in range(lanes)]
        return ArmRun(name, wall_s, timeline(rows, end=wall_s))

    return [
        run("sequential", 5.9, 1, 8),
        run("process-pool 4", 1.55, 4, 2),
        run("an arm with a very long name indeed that nobody would type", 3.1, 2, 4),
    ]
