"""Which run of an arm is shown: the one nearest to the median; pure."""

from statistics import median

from batchpool.ledger.values.comparison_entries import ComparisonEntry, Sample


def typical_runs(entry: ComparisonEntry) -> list[tuple[str, list[Sample]]]:
    """Name and measured runs of each arm that has some, those nearest to its median first."""
    found = []
    for index, arm in enumerate(entry.spec.arms):
        runs = [(wall_s, s) for s in entry.samples if (wall_s := _wall_s(s, index)) is not None]
        if runs:
            middle_s = median(wall_s for wall_s, _ in runs)
            runs.sort(key=lambda run: abs(run[0] - middle_s))
            found.append((arm.name, [sample for _, sample in runs]))
    return found


def _wall_s(sample: Sample, arm: int) -> float | None:
    """The time of a run of this arm that counts."""
    counts = sample.arm == arm and sample.kind == "sample" and not sample.disturbed
    return sample.facts.wall_s if counts and sample.facts and not sample.error else None
