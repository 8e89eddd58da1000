"""What cannot be, or must not be compared: each finding takes a verdict away, or warns."""

from service.analysis.guards.base import Case, Finding
from service.analysis.guards.lanes import check_concurrency, check_pools
from service.analysis.guards.limits import check_limits
from service.analysis.guards.machine import (
    check_drift,
    check_gil,
    check_load,
    check_places,
    check_throttling,
)
from service.analysis.guards.plan import (
    check_aa,
    check_clocks,
    check_order,
    check_rounds,
    check_sizes,
)
from service.analysis.guards.work import check_checksums, check_deaths, check_failures, check_items

CHECKS = (
    check_failures,
    check_deaths,
    check_items,
    check_checksums,
    check_rounds,
    check_order,
    check_clocks,
    check_sizes,
    check_aa,
    check_concurrency,
    check_pools,
    check_throttling,
    check_gil,
    check_places,
    check_drift,
    check_load,
    check_limits,
)


__all__ = ["Case", "Finding", "inspect"]


def inspect(case: Case) -> list[Finding]:
    """Everything that is wrong, in the order of the checks."""
    return [finding for check in CHECKS for finding in check(case)]
