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


def build_error(status: int, title: str, detail: str, path: str = "") -> ErrorView:
    """The page of a problem with this status, title and detail.

    Args:
        path: of the page that may be asked for again; empty if that makes no sense.
    """
    shown = _TITLES.get(status, title)
    again = (("Try again", path),) if path and status >= 500 else ()
    ways = (*again, ("Overview", "/"), ("All jobs", "/jobs"))
    return ErrorView(status, shown, f"{detail[:1].upper()}{detail[1:]}.", ways)
