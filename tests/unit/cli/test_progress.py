"""The progress bar of a job, as a terminal shows it."""

import io

from rich.console import Console

from batchpool.cli.output import item_progress


def test_the_bar_has_rate_failures_and_the_time_left() -> None:
    now = 0.0
    console = Console(file=io.StringIO(), width=80, force_terminal=True, no_color=True)
    progress = item_progress(console)
    progress.get_time = lambda: now
    bar = progress.add_task("running", total=1000, failed="")
    progress._tasks[bar]._get_time = progress.get_time
    for done in (100, 200, 300):
        now += 1.0
        progress.update(bar, completed=done, failed="2 failed")
    with console.capture() as shown:
        console.print(progress.get_renderable())
    text = shown.get()
    assert "running" in text and "300/1000" in text and "2 failed" in text
    assert "100/s" in text and "0:00:07" in text
    assert max(map(len, text.splitlines())) <= 80
