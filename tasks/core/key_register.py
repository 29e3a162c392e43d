"""The keys of one source: every one is safe, and no two pictures get the same."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.core import keys
from tasks.core.plan import PlannedImage
from tasks.core.reading import Reading


class KeyRegister:
    """Remembers the keys of the rows, upper and lower case alike, and where their pictures will be published."""

    def __init__(self, column: str, pattern: str) -> None:
        self.column = column
        self._pattern = pattern
        self._may_collide = keys.may_collide(pattern)
        self._lines: dict[str, int] = {}
        self._started_from: dict[str, int] = {}
        self._outputs: dict[str, tuple[str, int]] = {}

    def read(self, reading: Reading) -> str:
        """Return the row's key; an unsafe or repeated one is reported."""
        key = reading.value(self.column)
        try:
            keys.validate_key(key)
        except keys.InvalidKey as error:
            reading.report(self.column, error.message, error.mend)
            return key
        first_line = self._lines.setdefault(key.casefold(), reading.row.line)
        if first_line != reading.row.line:
            mend = "Give every row a key of its own; upper and lower case count as the same."
            reading.report(self.column, f"the key is already used on line {first_line}", mend)
        self._report_start(reading, key)
        return key

    def may_start_from(self, reading: Reading, column: str | None, key: str) -> bool:
        """Whether a row may start from the published picture of a key.

        It may not when another row of this source makes that anew, which is reported; what comes later is reported
        when it is read.
        """
        line = self._lines.get(key.casefold())
        if line is None:
            self._started_from.setdefault(key.casefold(), reading.row.line)
        elif line != reading.row.line:
            message = f"the picture of {key!r} is made by line {line}, and is not there yet"
            reading.report(column, message, "Run that line first, and this one afterwards.")
            return False
        return True

    def _report_start(self, reading: Reading, key: str) -> None:
        """Report a key from whose picture an earlier line starts."""
        line = self._started_from.get(key.casefold())
        if line is not None:
            message = f"line {line} starts from its picture, which is not there yet"
            reading.report(self.column, message, f"Run this line first, and line {line} afterwards.")

    def claim_outputs(self, reading: Reading, images: Iterable[PlannedImage]) -> None:
        """Report pictures that would overwrite another one. Equal pictures may share their place."""
        if not self._may_collide:
            return
        for image in images:
            output = keys.output_key(
                self._pattern,
                sku=image.key,
                fingerprint=image.fingerprint,
                template=image.template,
                model=image.model,
                variant=image.variant,
            )
            mine = (image.fingerprint, image.line)
            fingerprint, line = self._outputs.setdefault(output.casefold(), mine)
            if fingerprint != image.fingerprint:
                message = f"its picture would overwrite one of line {line} at {output!r}"
                mend = f"Add {{fingerprint8}} to key_pattern, which is {self._pattern!r}, or change the key."
                reading.report(self.column, message, mend)
                return
