"""An MkDocs hook that renders pages, which are written for GitHub, the way GitHub does."""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\((?:\.\./)+([^)#]+)(?:#[^)]*)?\)")
_ITEM = re.compile(r"(?:[-*]|\d+\.) ")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replaces links that leave docs/ by paths, and inserts a blank line before lists."""
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
