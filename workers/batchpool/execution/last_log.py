"""What an item has printed so far, in a file that outlives the process that it ends."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from batchpool.execution.item_logs import ItemLogs

LAST_LOG_NAME = "last-log"


@contextmanager
def last_log_kept(logs: ItemLogs, folder: Path) -> Iterator[None]:
    """Write the log of the item that runs alone in this process to a file, as it grows."""
    path = folder / LAST_LOG_NAME

    def show(_: int, text: str) -> None:
        with suppress(OSError):
            path.write_text(text, encoding="utf-8")

    path.unlink(missing_ok=True)
    logs.show = show
    try:
        yield
    finally:
        logs.show = None


def read_last_log(folder: Path) -> str:
    """The log of the item that ran alone in a process that died; empty if it printed nothing."""
    with suppress(OSError):
        return (folder / LAST_LOG_NAME).read_text(encoding="utf-8", errors="replace")
    return ""
