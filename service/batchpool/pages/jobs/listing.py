"""The list of jobs: filters as links and fields, lines, and what was done to the chosen; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from batchpool.charts import numbers
from batchpool.pages.jobs.lines import JobLine, job_line
from batchpool.pages.text import in_words
from batchpool.schemas.job_responses import JobSummary

SPANS: Final = {
    "": ("any time", 0),
    "1h": ("last hour", 3600),
    "24h": ("last 24 hours", 86_400),
    "7d": ("last 7 days", 604_800),
}
"""Choices of time: words, and seconds."""

STATES: Final = (
    (None, "All"),
    ("running", "Running"),
    ("queued", "Waiting"),
    ("failed", "Failed"),
    ("succeeded", "Succeeded"),
    ("cancelled", "Cancelled"),
)

ACTIONS: Final = {"cancel": "cancelled", "retry": "sent again", "delete": "deleted"}
"""What can be done to chosen jobs, and what they are then."""


@dataclass(frozen=True)
class Choice:
    """An option of a field."""

    value: str
    words: str
    chosen: bool


@dataclass(frozen=True)
class JobList:
    """What the list of jobs shows.

    Args:
        pills: filters by state, as (words, count or None, address, whether it is chosen).
        query: the filters in force, by name; `here` is the address of the list with them.
        shown: how many of how many there are, in words.
        match: the filters in force, in words; empty without one.
        done: what was just done to chosen jobs; empty if nothing was.
    """

    lines: tuple[JobLine, ...]
    pills: tuple[tuple[str, int | None, str, bool], ...]
    query: Mapping[str, str]
    here: str
    tasks: tuple[Choice, ...]
    spans: tuple[Choice, ...]
    label: str
    shown: str
    match: str
    kept: int
    next_href: str | None
    first_href: str | None
    done: str


@dataclass(frozen=True)
class Counts:
    """How many jobs there are, as far as that is known without reading them."""

    kept: int
    running: int
    queued: int


def build_job_list(
    jobs: Sequence[JobSummary],
    following: str | None,
    query: Mapping[str, str],
    counts: Counts,
    tasks: Sequence[str],
) -> JobList:
    """The list.

    Args:
        following: the cursor of the next page.
        query: the parameters of the address that are not empty.
        tasks: the names of known tasks.
    """
    filters = {name: query[name] for name in ("state", "task", "label", "since") if name in query}
    return JobList(
        lines=tuple(map(job_line, jobs)),
        pills=_pills(filters, counts),
        query=filters,
        here=_href(filters),
        tasks=_choices({"": "any task"} | {name: name for name in tasks}, filters.get("task")),
        spans=_choices({key: words for key, (words, _) in SPANS.items()}, filters.get("since")),
        label=filters.get("label", ""),
        shown=_shown(len(jobs), following, filters, counts),
        match=_match(filters),
        kept=counts.kept,
        next_href=_href({**filters, "cursor": following}) if following else None,
        first_href=_href(filters) if "cursor" in query else None,
        done=_done(query),
    )


def _pills(
    filters: Mapping[str, str], counts: Counts
) -> tuple[tuple[str, int | None, str, bool], ...]:
    # Only these are known without a scan, and only of all jobs.
    only_state = not filters.keys() - {"state"}
    known: dict[str | None, int] = {None: counts.kept, "running": counts.running}
    known["queued"] = counts.queued
    return tuple(
        (
            words,
            known.get(state) if only_state else None,
            _href({**filters, "state": state or ""}),
            filters.get("state") == state,
        )
        for state, words in STATES
    )


def _choices(options: Mapping[str, str], chosen: str | None) -> tuple[Choice, ...]:
    if chosen and chosen not in options:
        options = {**options, chosen: chosen}
    return tuple(Choice(key, words, key == (chosen or "")) for key, words in options.items())


def _href(query: Mapping[str, str]) -> str:
    named = {name: value for name, value in query.items() if value}
    return f"/jobs?{urlencode(named)}" if named else "/jobs"


def _shown(count: int, following: str | None, filters: Mapping[str, str], counts: Counts) -> str:
    if not filters:
        total = max(counts.kept, count)
        return f"{numbers.count(count)} of {numbers.plural(total, 'job')} shown, newest first"
    more = "; there may be more" if following else ""
    return f"{numbers.plural(count, 'job')} shown, newest first{more}"


def _match(filters: Mapping[str, str]) -> str:
    words = {
        "state": filters.get("state", ""),
        "task": f"task {filters['task']}" if "task" in filters else "",
        "label": f"label {filters['label']}" if "label" in filters else "",
        "since": SPANS.get(filters.get("since", ""), ("", 0))[0] if "since" in filters else "",
    }
    return ", ".join(part for part in words.values() if part)


def _done(query: Mapping[str, str]) -> str:
    action = query.get("done", "")
    given = [query.get(name, "0") for name in ("count", "refused", "left", "later")]
    if action not in ACTIONS or not all(each.isdecimal() for each in given):
        return ""
    count, refused, left, later = (int(each[:6]) for each in given)
    if later:
        return f"{numbers.plural(later, 'job')} will be {ACTIONS[action]} within some seconds."
    were = "job was" if count == 1 else "jobs were"
    words = f"{in_words(count).capitalize()} {were} {ACTIONS[action]}."
    if refused:
        why = "no worker can run them" if action == "retry" else "their state had changed"
        words += f" {numbers.plural(refused, 'job')} could not be: {why}."
    if left:
        words += f" {numbers.plural(left, 'job')} would have taken too long; do it again for them."
    return words


@dataclass(frozen=True)
class Confirmation:
    """The question before chosen jobs are cancelled, retried or deleted.

    Args:
        by_match: whether they were chosen by the filters.
        question: names the number.
        words: names the jobs, and what happens.
        button: what the button does, to how many.
        left_out: how many more match than are taken at once; empty if none do.
    """

    action: str
    ids: tuple[str, ...]
    by_match: bool
    question: str
    words: str
    button: str
    left_out: str
    back: str


def build_confirmation(
    action: str,
    ids: Sequence[str],
    jobs: Sequence[JobSummary],
    by_match: bool,
    has_more: bool,
    back: str,
) -> Confirmation:
    """The question about the jobs with these ids; `jobs` are the first of them at least."""
    count = numbers.plural(len(ids), "job")
    verb = {"cancel": "Cancel", "retry": "Retry", "delete": "Delete"}[action]
    named = [f"{job.spec.task} ({numbers.plural(job.progress.total, 'item')})" for job in jobs[:5]]
    more = f" and {numbers.count(len(ids) - 5)} more" if len(ids) > 5 else ""
    what = " and ".join(named) if len(named) == 2 else ", ".join(named) + more
    words = {
        "cancel": f"{what}. What is done keeps its records; the rest is not run.",
        "retry": f"{what}. The items without a value are run again, as new jobs.",
        "delete": f"{what}, with all their records. This cannot be undone.",
    }[action]
    taken = f"These are the first {numbers.count(len(ids))} that match; do it again for the rest."
    if action == "retry" and by_match:
        words += " Jobs that were retried by a filter before are left out."
    return Confirmation(
        action=action,
        ids=tuple(ids),
        by_match=by_match,
        question=f"{verb} {count}?",
        words=words,
        button=f"{verb} {count}",
        left_out=taken if has_more else "",
        back=back,
    )
