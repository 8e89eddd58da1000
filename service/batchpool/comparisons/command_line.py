"""The command line that runs a comparison once more; pure."""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from batchpool.comparisons.arms import name_arms
from batchpool.comparisons.planning import ARM_FIELDS
from batchpool.jobs.items_digest import summarize_items
from batchpool.json_value import JsonObject
from batchpool.ledger.values.comparison_entries import ArmSpec, ComparisonSpec

_SHAPE = ("backend", "batches", "concurrency")


def repeat_command(spec: ComparisonSpec) -> str:
    """The command with the same arms, seed and conditions; items of its own are a file's."""
    params = spec.params.items()
    words = ["batchpool", "compare", shlex.quote(spec.task)]
    is_count = spec.items.sha256 == summarize_items(range(spec.count)).sha256
    words += [f"--count {spec.count}" if is_count else "--items items.json"]
    words += [f"--param {shlex.quote(f'{name}={json.dumps(value)}')}" for name, value in params]
    words += [f"--arm {shlex.quote(text)}" for text in _arm_texts(spec.arms)]
    words += [f"--rounds {spec.rounds}", f"--warmup {spec.warmup}", f"--seed {spec.seed}"]
    words += [f"--reference {shlex.quote(spec.arms[spec.reference].name)}"]
    words += [f"--min-effect {spec.min_effect:g}", f"--timeout {spec.timeout_s:g}"]
    words += [f"--fail-unless {shlex.quote(text)}" for text in spec.fail_unless]
    return " ".join(words)


def _arm_texts(arms: Sequence[ArmSpec]) -> Iterator[str]:
    by_itself = name_arms([replace(arm, name="") for arm in arms])
    for arm, unnamed in zip(arms, by_itself, strict=True):
        options: JsonObject = {name: getattr(arm, name) for name in ARM_FIELDS}
        text = f"{arm.backend}:{arm.batches}x{arm.concurrency}"
        more = [
            f"{name}={value}"
            for name, value in options.items()
            if name not in _SHAPE and value is not None and (name, value) != ("shared_sum", "none")
        ]
        if arm.name != unnamed.name:
            more.append(f"name={arm.name}")
        yield ",".join([text, *more])
