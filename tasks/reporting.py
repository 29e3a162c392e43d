"""Writing a batch's contact sheet from the ledger."""

from __future__ import annotations

from pathlib import Path

from tasks.ledger import reading, summing
from tasks.services import Services


def write_report(services: Services, batch_id: str) -> Path:
    """Write the contact sheet under IMAGECHORD_OUTPUT and return its first page."""
    from tasks.report.contact_sheet import write_contact_sheet  # Jinja: watching a batch need not wait for it

    preferences = services.settings.preferences
    ledger = services.ledger
    path = services.settings.output / "reports" / batch_id / "index.html"
    write_contact_sheet(
        path,
        summing.summarise(ledger, batch_id, services.report_url(batch_id)),
        reading.images(ledger, batch_id, thumbnails=True),
        reading.skipped_rows(ledger, batch_id),
        language=preferences.language,
        timezone=preferences.timezone,
    )
    return path
