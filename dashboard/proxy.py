"""Support for a proxy that shows the page below a path, such as `https://desk.example/iwpa/`."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any

_KEY = "iwpa.prefix"
_ROOT = r'"requests_pathname_prefix":"\u002f"'  # as in Dash's HTML
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Prefixed:
    """A WSGI application served below a path: the given one or that of `X-Forwarded-Prefix`.

    It works whether or not the proxy strips the path.
    """

    def __init__(self, application: _Application, prefix: str):
        """Wraps an application; `prefix` is the path without a trailing slash, empty for none."""
        self._application = application
        self._prefix = prefix

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        told = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
        prefix = told if _PREFIX.fullmatch(told) else self._prefix
        environ[_KEY] = prefix
        path = environ.get("PATH_INFO", "")
        # The page's requests are relative to its address, which therefore must end with a slash.
        if prefix and path == prefix:
            start("308 Permanent Redirect", [("Location", f"{prefix}/"), ("Content-Length", "0")])
            return []
        if prefix and path.startswith(f"{prefix}/"):
            environ["PATH_INFO"] = path[len(prefix) :]
        return self._application(environ, start)


def below_prefix(page: str, environ: dict[str, Any]) -> str:
    """Returns the page's HTML adapted to the path of the request."""
    prefix = environ.get(_KEY, "")
    if not prefix:
        return page
    page = re.sub(r'\b(src|href)="/', rf'\1="{prefix}/', page)
    return page.replace(_ROOT, _ROOT.replace("\\u002f", f"{prefix}/"))


def parts(address: str) -> tuple[str, str]:
    """Returns the host name and the path, without a trailing slash, of a proxied page's address.

    Raises:
      ValueError: if the address is not one of a page; the message continues the flag's name.
    """
    try:
        found = urllib.parse.urlsplit(address)
        host, path = found.hostname, found.path.rstrip("/")
    except ValueError:
        host, path = None, ""
    if (
        host is None
        or found.scheme not in ("http", "https")
        or found.query
        or not (path == "" or _PREFIX.fullmatch(path))
    ):
        raise ValueError(f"takes an address such as https://desk.example/iwpa/, not {address!r}")
    return host, path
