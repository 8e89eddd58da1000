"""Run real comparisons of two identical arms, with a foreign load from half-way on."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx

from benchmarks.own_stack import make_stack

ROUNDS = 10
MOST_FALSE = 0.10
_STEP_AFTER = ROUNDS // 2
_POLL_S = 0.1
_ORDER: dict[str, Any] = {
    "task": "cpu",
    "params": {"iterations": 250_000},
    "count": 8,
    "rounds": ROUNDS,
    "arms": [
        {"name": "a", "backend": "thread-pool", "concurrency": 2},
        {"name": "b", "backend": "thread-pool", "concurrency": 2},
    ],
}
_SPIN = "while True: pass"


@contextmanager
def _load() -> Iterator[None]:
    """Keep one CPU busy with a foreign process while the block lasts."""
    process = subprocess.Popen([sys.executable, "-c", _SPIN])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(count: int, url: str | None) -> int:
    """Print one row per comparison; returns 1 if more winners were declared than allowed."""
    with ExitStack() as resources:
        where = url or resources.enter_context(make_stack()).url
        http = resources.enter_context(httpx.Client(base_url=where, timeout=60.0, trust_env=False))
        print(f"### {count} real comparisons of two identical arms, a load that steps up half-way")
        print("\n| | ratio | nominal 95 % | p | A/A | verdict | findings |")
        print("| ---: | ---: | --- | ---: | ---: | --- | --- |")
        verdicts = Counter(_one(http, number) for number in range(1, count + 1))
    false = verdicts["faster"] + verdicts["slower"]
    print(f"\n{', '.join(f'{n} × {name}' for name, n in verdicts.most_common())}")
    is_met = false <= MOST_FALSE * count
    print(f"\n- {'met' if is_met else '**NOT met**'}: at most {MOST_FALSE:.0%} — {false}/{count}")
    return 0 if is_met else 1


def _one(http: httpx.Client, number: int) -> str:
    answer = http.post("/v1/comparisons", json=_ORDER | {"seed": number})
    answer.raise_for_status()
    path = f"/v1/comparisons/{answer.json()['id']}"
    with ExitStack() as resources:
        document = _wait(http, path, resources)
    print(_row(number, document), flush=True)
    if document["state"] != "succeeded":
        return str(document["state"])
    return document["arms"][1]["verdict"] or "no verdict"


def _wait(http: httpx.Client, path: str, resources: ExitStack) -> dict[str, Any]:
    """Wait for the end of a comparison; start the load after half of the rounds."""
    is_loaded = False
    while True:
        document: dict[str, Any] = (
            http.get(path, params={"wait": _POLL_S}).raise_for_status().json()
        )
        if document["state"] in ("succeeded", "failed", "cancelled"):
            return document
        if not is_loaded and (document["progress"]["round"] or 0) > _STEP_AFTER:
            resources.enter_context(_load())
            is_loaded = True


def _row(number: int, document: dict[str, Any]) -> str:
    arms = document.get("arms") or []
    if len(arms) < 2 or arms[1]["ratio"] is None:
        return f"| {number} | | | | | {document['state']} | {document.get('error')} |"
    ratio, aa = arms[1]["ratio"], document["aa"]["ratio"]
    kinds = [each["kind"] for each in (*document["guard"], *document["warnings"])]
    return (
        f"| {number} | {ratio['value']:.3f} | {ratio['low']:.3f} – {ratio['high']:.3f} "
        f"| {ratio['p']:.3f} | {aa['value']:.3f} | {arms[1]['verdict']} | {', '.join(kinds)} |"
    )
