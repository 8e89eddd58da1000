"""A comparison on one card: what it showed, where, and the command that repeats it; pure."""

from pydantic import Field

from batchpool.comparisons.analysis.exports import Results
from batchpool.comparisons.command_line import repeat_command
from batchpool.schemas.comparison_responses import ConditionResult, Speedup, Verdict
from batchpool.schemas.job_responses import ResponseModel


class CardArm(ResponseModel):
    name: str
    median_s: float | None
    speedup: Speedup | None = Field(description="against the reference; nominal 95 % interval")
    verdict: Verdict | None
    is_reference: bool


class ResultCard(ResponseModel):
    """A comparison in a few lines, to keep or to show."""

    task: str
    items: int
    items_sha256: str
    rounds: int
    seed: int
    conclusion: list[str]
    conditions: list[ConditionResult]
    arms: list[CardArm]
    measured_with: dict[str, str]
    command: str = Field(description="runs the same comparison once more")


def result_card(results: Results) -> ResultCard:
    """The card of a comparison that has results."""
    spec, analysis, environment = results.spec, results.analysis, results.environment
    where = {
        "python": environment.python,
        "gil": environment.gil,
        "cpus": environment.cpus,
        "batchpool": environment.batchpool_version,
    }
    return ResultCard(
        task=spec.task,
        items=spec.count,
        items_sha256=spec.items.sha256,
        rounds=spec.rounds,
        seed=spec.seed,
        conclusion=analysis.conclusion,
        conditions=analysis.conditions,
        arms=[
            CardArm(
                name=arm.name,
                median_s=arm.median_s,
                speedup=arm.speedup,
                verdict=arm.verdict,
                is_reference=arm.index == spec.reference,
            )
            for arm in analysis.arms
        ],
        measured_with={name: _words(value) for name, value in where.items() if value is not None},
        command=repeat_command(spec),
    )


def _words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
