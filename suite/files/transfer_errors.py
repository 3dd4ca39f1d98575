"""Errors of a transfer, in words, and whether trying again may help."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from suite.errors import UserError

if TYPE_CHECKING:
    import httpx2

AGAIN = {408, 425, 429, 500, 502, 503, 504}
NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}
LATER = "try again later; the same command continues where it was"
BY_HAND = "get the file by hand, or name a mirror: export SUITE_MIRROR=https://host"
LOGIN = "a network may ask you to log in first: open the address in a browser"


class Again(Exception):
    """An error that may not occur in another try. `after`: seconds to wait, if the server states them.

    `at_once`: give up at once, unless this call has received something.
    """

    def __init__(self, what: str, after: float | None = None, at_once: bool = False, fix: str = LATER) -> None:
        super().__init__(what)
        self.after, self.at_once, self.fix = after, at_once, fix


def given_up(again: Again, url: str, here: int, tries: int) -> UserError:
    """The error after the last try. `here`: bytes received."""
    so_far = f" ({here / 1e6:,.1f} MB received)" if here else ""
    times = f", {tries} times" if tries > 1 else ""
    return UserError(f"{again}{times}{so_far}", url, again.fix)


def another(url: str, found: str, expected: str) -> UserError:
    """The error for a file with an unexpected digest."""
    return UserError(f"the file is damaged or not the right one: sha256 {found}, not {expected}; it was removed", url,
                     "start the same command again; if that does not help, the file has changed at its address")


def other_size(answer: httpx2.Response, url: str, found: int, expected: int) -> UserError:
    """The error for a file with an unexpected size."""
    page = "text/html" in answer.headers.get("Content-Type", "")
    return portal(url) if page else UserError(
        f"the file has {found:,} bytes, not {expected:,}: it has changed, or is not the right one", url, BY_HAND)


def portal(url: str) -> UserError:
    """The error for a web page instead of a file."""
    return UserError("a web page came instead of the file", url, f"{LOGIN}, or {BY_HAND}")


def check_kind(answer: httpx2.Response, url: str) -> None:
    """Raises UserError for an answer whose headers say that it is a web page."""
    if "text/html" in answer.headers.get("Content-Type", "").lower():
        raise portal(url)


def check_start(chunk: bytes, url: str) -> None:
    """Raises UserError if the file begins like a web page."""
    head = chunk[:200].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        raise portal(url)


def check_status(answer: httpx2.Response, url: str) -> None:
    """Raises Again or UserError for an answer without content."""
    code = answer.status_code
    if code in (200, 206, 416):
        return
    phrase = HTTPStatus(code).phrase if code in HTTPStatus.__members__.values() else ""
    what = f"the server answers {code} {phrase}".rstrip()
    if code in AGAIN:
        wait = answer.headers.get("Retry-After", "")
        raise Again(what, after=float(wait) if wait.isdecimal() else None)
    if code == 407:
        raise proxy_password(url)
    if code in (404, 410):
        raise UserError(f"{what}: the file does not exist", url, BY_HAND)
    if code in (401, 403):
        raise UserError(f"{what}: access to the file is restricted", url, BY_HAND)
    raise UserError(what, url, BY_HAND)


def proxy_password(url: str) -> UserError:
    """The error for a proxy that needs a password."""
    return UserError("the proxy asks for a user name and a password (407)", url,
                     "export HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT, or ask who runs the network")


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn what the HTTP client raises into Again or UserError."""
    import httpx2

    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError) as error:
        raise explain(error, url) from error


def explain(error: BaseException, url: str) -> Exception:
    """The UserError or Again for what the HTTP client raised."""
    import httpx2

    host = urlsplit(url).hostname
    causes = [*_causes(error)]
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes) or "CERTIFICATE_VERIFY" in str(error):
        return UserError(f"the certificate of {host} cannot be verified: {_last(causes)}", url,
                         "check the clock; behind an inspecting proxy export SSL_CERT_FILE=its certificate authority")
    if isinstance(error, httpx2.ProxyError):
        return proxy_password(url) if "407" in str(error) else UserError(
            f"the proxy refused: {error}", url, "correct or unset HTTPS_PROXY, or add the host to NO_PROXY")
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        proxied = any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"))
        name = f"{host}, or that of the proxy," if proxied else host
        return Again(f"the name {name} cannot be resolved: there is no network here, or its name server fails",
                     at_once=True, fix="download on a machine with a network; behind a proxy, export "
                                        "HTTPS_PROXY=http://HOST:PORT")
    if any(isinstance(cause, OSError) and cause.errno in NO_ROUTE for cause in causes):
        return Again(f"there is no network here: {host} cannot be reached", at_once=True,
                     fix="download on a machine with a network")
    if isinstance(error, httpx2.TimeoutException):
        silent = isinstance(error, httpx2.ConnectTimeout)
        return Again("the server does not answer" if silent else "the transfer stalled")
    if isinstance(error, httpx2.ConnectError):
        return Again(f"{host} cannot be reached: {_last(causes)}", at_once=True,
                     fix="check the network and, if you need a proxy, HTTPS_PROXY; " + LATER)
    if isinstance(error, (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.TooManyRedirects)):
        return UserError(f"the address cannot be used: {error}", url, BY_HAND)
    return Again(f"the connection broke off: {_last(causes)}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def _last(causes: list[BaseException]) -> str:
    """The innermost cause with a message."""
    return next((str(cause) for cause in reversed(causes) if str(cause)), type(causes[0]).__name__)
