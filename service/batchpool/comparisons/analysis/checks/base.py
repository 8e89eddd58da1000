"""The input of all checks, and what a check may find."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from batchpool.comparisons.analysis.arm_samples import Arm
from batchpool.comparisons.analysis.verdicts import Ratio
from batchpool.ledger.values.comparison_entries import ComparisonSpec, Environment

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Args:
        arm: the index of the arm that it concerns; None for all of them.
        severity: an error takes the verdict from the arm, a warning does not.
    """

    kind: str
    message: str
    arm: int | None = None
    severity: Severity = "error"


@dataclass(frozen=True)
class CheckInput:
    """A comparison as the checks see it.

    Args:
        control: the hidden second arm of the reference.
        aa: the control compared with the reference.
    """

    spec: ComparisonSpec
    arms: Sequence[Arm]
    control: Arm
    environment: Environment
    aa: Ratio | None

    @property
    def reference(self) -> Arm:
        """The arm that the others are compared with."""
        return self.arms[self.spec.reference]

    @property
    def all_arms(self) -> Iterator[Arm]:
        """The arms, then the control."""
        yield from self.arms
        yield self.control

    @property
    def items(self) -> int:
        """The number of items of each run."""
        return self.spec.items.count

    def affected_arm(self, arm: Arm) -> int | None:
        """The arm that loses its verdict by an error of `arm`; by one of the reference, all do."""
        is_reference = arm.index in (self.spec.reference, self.control.index)
        return None if is_reference else arm.index


def format_rounds(rounds: Sequence[int]) -> str:
    """`round 3`, `rounds 1, 2` or `rounds 1, 2, 3 and 4 more`."""
    shown = ", ".join(str(number) for number in rounds[:3])
    more = f" and {len(rounds) - 3} more" if len(rounds) > 3 else ""
    return f"round{'s' if len(rounds) > 1 else ''} {shown}{more}"
