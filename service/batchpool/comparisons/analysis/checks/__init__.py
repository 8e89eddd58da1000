"""All validity checks: each finding is an error, which takes verdicts away, or a warning."""

from batchpool.comparisons.analysis.checks.base import CheckInput, Finding
from batchpool.comparisons.analysis.checks.concurrency import check_concurrency, check_pools
from batchpool.comparisons.analysis.checks.physical_limits import check_limits
from batchpool.comparisons.analysis.checks.plan_kept import (
    check_aa,
    check_clocks,
    check_order,
    check_rounds,
    check_sizes,
)
from batchpool.comparisons.analysis.checks.same_machine import (
    check_drift,
    check_gil,
    check_hosts,
    check_load,
    check_throttling,
)
from batchpool.comparisons.analysis.checks.same_work import (
    check_checksums,
    check_deaths,
    check_failures,
    check_items,
)

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
    check_hosts,
    check_drift,
    check_load,
    check_limits,
)


__all__ = ["CheckInput", "Finding", "run_checks"]


def run_checks(data: CheckInput) -> list[Finding]:
    """The findings of all checks, in the order of `CHECKS`."""
    return [finding for check in CHECKS for finding in check(data)]
