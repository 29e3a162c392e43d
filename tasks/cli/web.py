"""``imagechord web``: the site, served by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated

import typer

from tasks.cli import options
from tasks.cli.console import output, print_json
from tasks.cluster import require_same_ledger
from tasks.core.errors import ConfigurationError
from tasks.services import current_services
from tasks.steps.log import without_secrets
from tasks.web.door import most_bytes, require_token
from tasks.web.server import addresses, open_server
from tasks.web.site import site
from tasks.web.wsgi import application

Host = Annotated[
    str,
    typer.Option("--host", metavar="ADDRESS", help="The address to listen on; 0.0.0.0 is every one of this machine."),
]
Port = Annotated[
    int, typer.Option("--port", metavar="NUMBER", min=0, max=65535, help="The port to listen on; 0 takes a free one.")
]


def web(host: Host = "127.0.0.1", port: Port = 8000, json: options.Json = False) -> None:
    """Serve the batch pages, the API and webhooks, until Ctrl-C.

    Pages and API are for whoever has IMAGECHORD_WEB_TOKEN: programs send it as "Authorization: Bearer TOKEN", people
    type it once.

    Providers that make pictures asynchronously call here when one is ready, at WEBHOOK_BASE_URL, which has to lead
    here (through your proxy, with https); WEBHOOK_SECRET signs the addresses that they are given. Without these,
    or while this is down, they are asked instead, which takes a little longer. /healthz answers 200.

    Examples:
        imagechord web
            On this machine, at port 8000.
        imagechord web --host 0.0.0.0 --port 80
            For every machine that reaches this one.

    Exit codes:
        0  It was stopped, by Ctrl-C or TERM.
        1, 2

    Environment:
        IMAGECHORD_REDIS_URL, REDIS_URL, IMAGECHORD_HOME, IMAGECHORD_DATABASE_URL
        WEBHOOK_BASE_URL, WEBHOOK_SECRET, IMAGECHORD_WEB_TOKEN
    """
    services = current_services()
    base_url = services.settings.webhook_base_url
    require_token(services.settings.get("IMAGECHORD_WEB_TOKEN"))
    if services.settings.redis_url is None:
        raise ConfigurationError("imagechord web passes on to your workers what it is told: set IMAGECHORD_REDIS_URL")
    require_same_ledger(services)
    _log()
    import_module("tasks.batches")  # Celery: whoever submits first need not wait for it
    served = site()
    server = open_server(application(served), host, port, most_bytes(served))
    webhooks = base_url and f"{base_url.rstrip('/')}/webhooks/"
    if json:
        print_json({"listens_on": list(addresses(server)), "webhooks": webhooks})
    else:
        _announce(addresses(server), webhooks)
    server.run()


def _announce(listens_on: Iterable[str], webhooks: str | None) -> None:
    for address in listens_on:
        output.print(f"imagechord web listens on {address}", markup=False)
    calls = f"providers call {webhooks}" if webhooks else "WEBHOOK_BASE_URL is not set, so providers are asked instead"
    output.print(f"webhooks: {calls}", markup=False)


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s: %(levelname)s] %(name)s: %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(without_secrets)
