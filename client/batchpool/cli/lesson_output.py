"""Print a lesson: its code, what was measured, and who ran which task."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batchpool.json_value import JsonObject

MOST_TASKS = 10
_BAR = 40
"""Characters of a bar; the table around it fits 80 columns."""


def print_lessons(console: Console, lessons: Sequence[JsonObject]) -> None:
    """Print the names of the lessons with what each is about."""
    table = Table.grid(padding=(0, 2))
    for number, each in enumerate(lessons, start=1):
        table.add_row(Text(f"{number}"), Text(each["name"], "bold"), Text(each["title"]))
    console.print(table)


def print_lesson_run(console: Console, lesson: JsonObject, run: JsonObject) -> None:
    """Print the code, the sentence, a bar per way, and the tasks of each way."""
    console.print(Text(lesson["title"], "bold"))
    console.print(Text(lesson["lead"]))
    console.print()
    console.print(Text(lesson["code"].rstrip(), "cyan"))
    console.print()
    if run["sentence"]:
        console.print(_emphasised(run["sentence"], "yellow" if run["doubts"] else ""))
        console.print()
    console.print(_times(run["ways"]))
    for way in run["ways"]:
        if way["heading"] and way["tasks"]:
            console.print()
            console.print(Text(way["heading"], "bold"))
            console.print(_tasks(way["tasks"]))
            _print_rest(console, way)
    console.print()
    console.print(Text(lesson["further"], "dim"))


def _emphasised(sentence: str, style: str) -> Text:
    text = Text(style=style)
    for at, part in enumerate(sentence.split("*")):
        text.append(part, "bold" if at % 2 else "")
    return text


def _times(ways: Sequence[JsonObject]) -> Table:
    """A bar per way: its solid part is the share of time in which its tasks computed."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    table.add_column("wall", justify="right", no_wrap=True)
    table.add_column("speedup", justify="right", no_wrap=True)
    table.add_column("█ computing  ░ waiting or held up", no_wrap=True)
    longest = max((way["wall_s"] or 0.0 for way in ways), default=0.0) or 1.0
    for way in ways:
        wall_s = way["wall_s"]
        width = 0 if wall_s is None else max(1, round(_BAR * wall_s / longest))
        solid = round(width * (way["cpu_share"] or 0.0))
        bar = Text("█" * solid, "blue") + Text("░" * (width - solid), "dim")
        speedup = "" if way["speedup"] is None else f"{way['speedup']:.2f} ×"
        wall = "" if wall_s is None else f"{wall_s * 1000:.0f} ms"
        table.add_row(way["name"], wall, speedup, bar)
    return table


def _tasks(tasks: Sequence[JsonObject]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("task", "PID", "parent", "began", "took", "computed", "sum seen"):
        table.add_column(name, justify="right", no_wrap=True)
    for task in tasks[:MOST_TASKS]:
        table.add_row(*_cells(task))
    return table


def _cells(task: JsonObject) -> Iterable[str]:
    times = (f"{task[name] * 1000:.1f} ms" for name in ("start_s", "wall_s", "cpu_s"))
    seen = "" if task["sum_seen"] is None else str(task["sum_seen"])
    return (str(task["item"]), str(task["pid"]), str(task["parent"]), *times, seen)


def _print_rest(console: Console, way: JsonObject) -> None:
    rest = len(way["tasks"]) - MOST_TASKS
    words = f"{MOST_TASKS} of {len(way['tasks'])} shown. " if rest > 0 else ""
    words += f"The shared sum held {way['observed']} in the end, the exact sum is {way['sum']}. "
    words += way["parents"]
    console.print(Text(words, "dim"))
