"""Same work: every arm ran all items, once, and with the same result."""

from collections.abc import Iterator

from batchpool.comparisons.analysis.checks.base import CheckInput, Finding, format_rounds
from batchpool.ledger.values.comparison_entries import RunFacts


def check_failures(data: CheckInput) -> Iterator[Finding]:
    """Find runs that failed, and items that did."""
    for arm in data.all_arms:
        if arm.errors:
            first = next(iter(arm.errors.values()))
            message = f"{arm.name}: {format_rounds(sorted(arm.errors))} failed: {first}"
            yield Finding("failed", message, data.affected_arm(arm))
        bad = {
            round_: states
            for round_, facts in arm.runs.items()
            if (states := _bad_states(facts)) or facts.state != "succeeded"
        }
        if bad:
            first_bad = ", ".join(f"{n} {state}" for state, n in next(iter(bad.values())).items())
            message = f"{arm.name}: not all items succeeded in {format_rounds(sorted(bad))}"
            message += f": {first_bad}" if first_bad else ""
            yield Finding("failed", message, data.affected_arm(arm))


def _bad_states(facts: RunFacts) -> dict[str, int]:
    return {state: n for state, n in facts.states.items() if state != "succeeded" and n}


def check_deaths(data: CheckInput) -> Iterator[Finding]:
    """Find runs in which a worker was lost, or the process of a task killed."""
    for arm in data.all_arms:
        dead = [
            round_
            for round_, facts in sorted(arm.runs.items())
            if facts.epochs_max > 1 or facts.states.get("crashed")
        ]
        if dead:
            message = f"{arm.name}: a worker or a process of it was killed in {format_rounds(dead)}"
            yield Finding("killed", message, data.affected_arm(arm))


def check_items(data: CheckInput) -> Iterator[Finding]:
    """Find runs of more or fewer items than requested."""
    for arm in data.all_arms:
        wrong = {
            n: facts.tasks for n, facts in sorted(arm.runs.items()) if facts.tasks != data.items
        }
        if wrong:
            message = (
                f"{arm.name}: {next(iter(wrong.values()))} items were run in "
                f"{format_rounds(list(wrong))}, {data.items} were requested"
            )
            yield Finding("items", message, data.affected_arm(arm))


def check_checksums(data: CheckInput) -> Iterator[Finding]:
    """Find results that differ from those of the reference, or between rounds."""
    expected = set(data.reference.values_of(lambda facts: facts.checksum))
    for arm in data.all_arms:
        found = set(arm.values_of(lambda facts: facts.checksum))
        if len(found) > 1:
            message = f"{arm.name}: the results differ from round to round"
            yield Finding("checksum", message, data.affected_arm(arm))
        elif found and expected and found != expected:
            message = f"{arm.name}: its results differ from those of {data.reference.name}"
            yield Finding("checksum", message, data.affected_arm(arm))
