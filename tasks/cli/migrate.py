"""``imagechord migrate``: the ledger's tables, as this version needs them."""

from __future__ import annotations

from tasks.cli import options
from tasks.cli.console import output, print_json, print_next
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import HEAD, current_revision, upgrade
from tasks.settings import load_settings


def migrate(json: options.Json = False) -> None:
    """Bring the ledger's database to this version.

    Needed once for PostgreSQL, and again after an update that says so; a SQLite ledger is migrated by whoever opens
    it. Running it twice does no harm. Stop the workers first when the revision changes.

    Examples:
        imagechord migrate
            The database of IMAGECHORD_DATABASE_URL.

    Exit codes:
        0  Its tables are this version's.
        1, 2

    Environment:
        IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
    """
    ledger = Ledger(parse_database_url(load_settings().database_url))
    before = current_revision(ledger)
    if before != HEAD:
        upgrade(ledger)
    if json:
        print_json({"before": before, "after": HEAD})
        return
    where = ledger.url.render_as_string(hide_password=True)
    change = "already" if before == HEAD else f"from {before or 'nothing'}"
    output.print(f"{where}: revision {HEAD}, {change}", markup=False)
    print_next("imagechord doctor")
