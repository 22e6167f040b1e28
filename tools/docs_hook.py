"""A hook of MkDocs: pages are written as GitHub shows them, and the site shows the same."""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\((?:\.\./)+([^)#]+)(?:#[^)]*)?\)")
_ITEM = re.compile(r"(?:[-*]|\d+\.) ")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Names the path where a link leaves docs/, and sets lists apart from the text above them."""
    named = _OUTSIDE.sub(lambda link: f"{link[1]} (`{link[2]}`)", markdown)
    lines: list[str] = []
    fenced = False
    for line in named.split("\n"):
        fenced ^= line.startswith("```")
        above = lines[-1] if lines else ""
        in_list = bool(_ITEM.match(above)) or above.startswith(" ")
        if _ITEM.match(line) and above and not (fenced or in_list):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)
