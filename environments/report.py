"""What an examination of a task distribution found."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Report:
    """Lines for a person.

    Attributes:
        findings: The broken rules, each with the mend; rules that follow from a broken one may not have been looked at.
        warnings: What may be meant so, but often is not.
        summary: Sizes and speed, when nothing is broken.
    """

    findings: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    summary: str = ""
