"""Which web pages may reach the API: its own, under a name that cannot be made to point here."""

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers

from batchpool.api.problems import Problem

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "frame-ancestors 'none'",
}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def check_host(host: str, allowed: frozenset[str]) -> None:
    """Refuse a name that a foreign page may have made to point here (DNS rebinding).

    Raises:
        Problem: 421, it is no IP address, localhost, or one of `allowed`.
    """
    if not _is_known(host, allowed):
        raise Problem(
            421,
            "Misdirected Request",
            f"unknown host {host[:80]!r}; allowed: an IP address, localhost, and the names in "
            "BATCHPOOL_ALLOWED_HOSTS",
        )


@lru_cache(256)
def _is_known(host: str, allowed: frozenset[str]) -> bool:
    match = _HOST.fullmatch(host)
    name = match[1].strip("[]").rstrip(".").lower() if match else ""
    return name == "localhost" or name in allowed or _is_address(name)


def check_origin(method: str, headers: Headers, host: str, scheme: str) -> None:
    """Refuse what a page of another origin would change here.

    Raises:
        Problem: 403, by `Origin` or `Sec-Fetch-Site`.
    """
    if method in SAFE_METHODS:
        return
    site = headers.get("Sec-Fetch-Site", "")
    if site in ("cross-site", "same-site"):
        raise _forbidden(f"Sec-Fetch-Site {site}")
    origin = headers.get("Origin")
    if origin is not None and not _is_own(origin, host, scheme):
        raise _forbidden(f"Origin {origin[:80]!r}")


def _forbidden(found: str) -> Problem:
    return Problem(
        403, "Forbidden", f"{found}: pages of another origin cannot change anything here"
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_own(origin: str, host: str, scheme: str) -> bool:
    # A proxy may have ended TLS: the scheme of the page may differ from the one seen here.
    parts = urlsplit(origin)
    return parts.scheme in _DEFAULT_PORTS and _with_port(parts.netloc, parts.scheme) in (
        _with_port(host, scheme),
        _with_port(host, parts.scheme),
    )


def _with_port(netloc: str, scheme: str) -> tuple[str, str]:
    match = _HOST.fullmatch(netloc)
    if match is None:
        return netloc, ""
    return match[1].lower(), match[2] or _DEFAULT_PORTS.get(scheme, "")
