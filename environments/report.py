"""The report of an examination of a task distribution."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Report:
    """The results of an examination, as text.

    Attributes:
        findings: The broken rules, one line each, with the fix; a broken rule may keep later ones
            from being checked.
        warnings: Lines on things that may be intended but often are mistakes.
        summary: Sizes and speed, if no rule is broken.
    """

    findings: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    summary: str = ""
