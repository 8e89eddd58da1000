"""Same work: every arm did all of it, once, and with the same result."""

from collections.abc import Iterator

from batchpool.comparisons.analysis.checks.base import CheckInput, Finding, format_rounds


def check_failures(case: CheckInput) -> Iterator[Finding]:
    """A run that ended badly, or an item of it."""
    for arm in case.all_arms:
        if arm.errors:
            first = next(iter(arm.errors.values()))
            message = f"{arm.name}: {format_rounds(sorted(arm.errors))} ended badly: {first}"
            yield Finding("failed", message, case.affected_arm(arm))
        bad = {
            key: states
            for key, facts in arm.runs.items()
            if (states := {s: n for s, n in facts["states"].items() if s != "succeeded" and n})
            or facts.get("state", "succeeded") != "succeeded"
        }
        if bad:
            first_bad = ", ".join(f"{n} {s}" for s, n in next(iter(bad.values())).items())
            message = (
                f"{arm.name}: not everything succeeded in {format_rounds(sorted(bad))}: {first_bad}"
            )
            yield Finding("failed", message.rstrip(": "), case.affected_arm(arm))


def check_deaths(case: CheckInput) -> Iterator[Finding]:
    """A worker that was lost, or a task's process that was killed."""
    for arm in case.all_arms:
        dead = [
            key
            for key, facts in sorted(arm.runs.items())
            if facts["epochs_max"] > 1 or facts["states"].get("crashed")
        ]
        if dead:
            message = f"{arm.name}: a worker or a process of it was killed in {format_rounds(dead)}"
            yield Finding("killed", message, case.affected_arm(arm))


def check_items(case: CheckInput) -> Iterator[Finding]:
    """Another number of items than was ordered."""
    for arm in case.all_arms:
        wrong = {k: f["tasks"] for k, f in sorted(arm.runs.items()) if f["tasks"] != case.items}
        if wrong:
            message = (
                f"{arm.name}: {next(iter(wrong.values()))} items were run in "
                f"{format_rounds(list(wrong))}, not {case.items}"
            )
            yield Finding("items", message, case.affected_arm(arm))


def check_checksums(case: CheckInput) -> Iterator[Finding]:
    """Another result than the reference has, or another one than the round before."""
    expected = set(case.reference.values_of("checksum"))
    for arm in case.all_arms:
        found = set(arm.values_of("checksum"))
        if len(found) > 1:
            message = f"{arm.name}: the results differ from round to round"
            yield Finding("checksum", message, case.affected_arm(arm))
        elif found and expected and found != expected:
            message = f"{arm.name}: its results differ from those of {case.reference.name}"
            yield Finding("checksum", message, case.affected_arm(arm))
