"""The page of an error: what is wrong, and where to go from here; pure."""

from dataclasses import dataclass

_TITLES = {404: "There is nothing here", 503: "Redis cannot be reached"}


@dataclass(frozen=True)
class ErrorView:
    """What the page of an error shows.

    Args:
        ways: further pages, as (words, address).
    """

    status: int
    title: str
    detail: str
    ways: tuple[tuple[str, str], ...]


def build_error(status: int, title: str, detail: str) -> ErrorView:
    """The page of a problem with this status, title and detail."""
    shown = _TITLES.get(status, title)
    ways = (("Overview", "/"), ("All jobs", "/jobs"))
    return ErrorView(status, shown, f"{detail[:1].upper()}{detail[1:]}.", ways)
