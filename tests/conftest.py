"""What every tier shares. Sockets are closed to all but loopback (``--allow-hosts`` in ``pyproject.toml``)."""

from __future__ import annotations
