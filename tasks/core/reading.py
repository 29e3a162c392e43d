"""One row while it is being read: its values, and every problem found on the way."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tasks.core.plan import Row, RowProblem

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Neither a command line, nor JSON, nor every database takes these."""


@dataclass(slots=True)
class Reading:
    """Collects problems instead of stopping at the first: a person mends a row once."""

    row: Row
    problems: list[RowProblem] = field(default_factory=list)

    def value(self, column: str | None) -> str:
        """The text in a column; empty when there is no such column or cell."""
        return self.row.values.get(column, "") if column else ""

    def report(self, column: str | None, message: str, mend: str) -> None:
        """Note a problem. ``message`` has no full stop at its end, ``mend`` is a sentence."""
        problem = RowProblem(self.row.line, column or "", self.value(column), message, mend, self.row.values)
        self.problems.append(problem)

    def check_text(self) -> None:
        """Report control characters in any cell: they come from damaged exports and break what comes later."""
        if not _UNPRINTABLE.search("".join(self.row.values.values())):
            return
        for column, value in self.row.values.items():
            if found := _UNPRINTABLE.search(value):
                code = f"U+{ord(found[0]):04X}"
                self.report(column, f"the text contains the control character {code}", "Remove it.")
