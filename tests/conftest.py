"""What every tier shares: sockets closed to all but loopback, and missing services that fail in CI."""

from __future__ import annotations
