"""The task of the screenshots: fetch an invoice, then add up its lines."""

import time
from dataclasses import dataclass

from batchpool.tasks import task


@dataclass(frozen=True)
class InvoicesParams:
    """How long the archive takes to answer, and how much is computed per invoice."""

    fetch_s: float = 0.08
    loops: int = 300_000


@task("invoices", params=InvoicesParams)
def invoices(item: int, params: InvoicesParams) -> int:
    """The number of invoices read; some have a total that is no number, or no currency."""
    row = fetch(item, params.fetch_s)
    sum(n * n for n in range(params.loops * (1 + item % 3)))
    find_currency(row)
    parse_total(row["total"])
    return 1


def fetch(item: int, seconds: float) -> dict[str, str]:
    """The archive's answer, which takes its time."""
    time.sleep(seconds * (1 + item * 7 % 5))
    row = {"total": f"{item}.50", "currency": "EUR"}
    if item % 31 == 30:
        row["total"] = "1.204,50"
    if item % 53 == 17:
        del row["currency"]
    return row


def find_currency(row: dict[str, str]) -> str:
    return row["currency"]


def parse_total(text: str) -> float:
    return float(text)
