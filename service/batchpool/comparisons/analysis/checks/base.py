"""What every check gets, and what it may find."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from batchpool.comparisons.analysis.arm_samples import Arm
from batchpool.comparisons.analysis.verdicts import Ratio

Weight = Literal["void", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    `arm` is the number of the arm that loses its verdict, None for all of them; a `warning`
    takes no verdict away.
    """

    kind: str
    message: str
    arm: int | None = None
    weight: Weight = "void"


@dataclass(frozen=True)
class CheckInput:
    """A session as the checks see it; `aa` compares the hidden copy with the reference."""

    spec: Mapping[str, Any]
    arms: Sequence[Arm]
    control: Arm
    environment: Mapping[str, Any]
    aa: Ratio | None

    @property
    def reference(self) -> Arm:
        number: int = self.spec["reference"]
        return self.arms[number]

    @property
    def all_arms(self) -> Iterator[Arm]:
        yield from self.arms
        yield self.control

    @property
    def items(self) -> int:
        return int(self.spec["items"]["count"])

    def affected_arm(self, arm: Arm) -> int | None:
        """Who loses a verdict when this arm is at fault: with the reference, everybody."""
        is_reference = arm.index in (self.spec["reference"], self.control.index)
        return None if is_reference else arm.index


def format_rounds(rounds: Sequence[int]) -> str:
    """`round 3`, `rounds 1, 2` or `rounds 1, 2, 3 and 4 more`."""
    shown = ", ".join(str(number) for number in rounds[:3])
    more = f" and {len(rounds) - 3} more" if len(rounds) > 3 else ""
    return f"round{'s' if len(rounds) > 1 else ''} {shown}{more}"
