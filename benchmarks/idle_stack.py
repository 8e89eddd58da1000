"""CPU time and memory of an idle stack."""

import time

from batchpool.client import Client
from batchpool.stack.local_stack import LocalStack
from benchmarks.process_usage import MB, cpu_s_by_member, rss_by_process

_WATCH_S = 30.0
_SETTLE_S = 3.0
_MOST_CPU = 0.01


def measure(stack: LocalStack, client: Client, quick: bool) -> str:
    """Measure, and return a section of the report."""
    del client
    time.sleep(_SETTLE_S)
    watch_s = _WATCH_S / 3 if quick else _WATCH_S
    before, started = cpu_s_by_member(stack), time.monotonic()
    time.sleep(watch_s)
    taken = time.monotonic() - started
    used = {name: (spent - before[name]) / taken for name, spent in cpu_s_by_member(stack).items()}
    sizes = rss_by_process(stack)
    lines = [
        f"### Idle: a stack of two workers, watched for {taken:.0f} s",
        "",
        "| member | CPU % of one core | RSS MB of each process |",
        "| --- | ---: | --- |",
    ]
    for name, share in used.items():
        rss = [f"{size / MB:.0f}" for key, size in sizes.items() if key.startswith(f"{name}/")]
        lines.append(f"| {name} | {share * 100:.2f} | {' + '.join(rss)} |")
    total = sum(used.values())
    outcome = "met" if total < _MOST_CPU else "**NOT met**"
    lines += ["", f"- {outcome}: idle CPU < 1 % — all members together {total * 100:.2f} %", ""]
    return "\n".join(lines)
