"""Behind a proxy that shows the page below a path of its own, such as `https://desk.example/iwpa/`."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any

_KEY = "iwpa.prefix"
_ROOT = r'"requests_pathname_prefix":"\u002f"'  # as Dash writes it
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Prefixed:
    """A WSGI application below a path: the one given, or that of `X-Forwarded-Prefix`, whether the proxy cuts it off or not."""

    def __init__(self, application: _Application, prefix: str):
        """Takes the path without its last slash; empty for none."""
        self._application = application
        self._prefix = prefix

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        told = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
        prefix = told if _PREFIX.fullmatch(told) else self._prefix
        environ[_KEY] = prefix
        path = environ.get("PATH_INFO", "")
        if (
            prefix and path == prefix
        ):  # What the page asks for is relative to it: a slash must be there.
            start("308 Permanent Redirect", [("Location", f"{prefix}/"), ("Content-Length", "0")])
            return []
        if prefix and path.startswith(f"{prefix}/"):
            environ["PATH_INFO"] = path[len(prefix) :]
        return self._application(environ, start)


def below_prefix(page: str, environ: dict[str, Any]) -> str:
    """Returns the HTML of the page as it has to be below the path that a request came by."""
    prefix = environ.get(_KEY, "")
    if not prefix:
        return page
    page = re.sub(r'\b(src|href)="/', rf'\1="{prefix}/', page)
    return page.replace(_ROOT, _ROOT.replace("\\u002f", f"{prefix}/"))


def parts(address: str) -> tuple[str, str]:
    """Returns host name and path, without its last slash, of the address at which a proxy shows the page.

    Raises:
      ValueError: it is no such address; the message is to follow its name.
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
