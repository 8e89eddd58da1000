"""The items of a job or batch by state, as counts and as a bar; pure."""

from batchpool.charts.share_bar import draw_progress
from batchpool.model import RECORD_STATES
from batchpool.schemas.job_responses import Progress


def progress_bar(progress: Progress, kind: str = "") -> str:
    """The items by state, as SVG; kind is "thin", "fat" or neither."""
    amounts = [(state, getattr(progress, state)) for state in (*RECORD_STATES, "running")]
    return draw_progress(amounts, progress.total, kind)


def done(progress: Progress) -> int:
    """Items that have a record, or never will have one."""
    return progress.total - progress.pending - progress.running


def unsuccessful(progress: Progress) -> int:
    """Items that ended without a value; those that were cancelled aside."""
    return progress.failed + progress.timeout + progress.crashed
