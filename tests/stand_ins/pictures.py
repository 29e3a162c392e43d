"""A web server with pictures on it."""

from __future__ import annotations

from collections import Counter

from tests.stand_ins.http_server import Reply, Request, StandIn


class PictureServer(StandIn):
    """``pictures`` is path → bytes; ``fails`` is how often a path answers 503 first."""

    def __init__(self, pictures: dict[str, bytes], fails: dict[str, int] | None = None) -> None:
        super().__init__()
        self.pictures = pictures
        self.fails = Counter(fails or {})

    def answer(self, request: Request) -> Reply:
        """The picture, or 404."""
        if self.fails[request.path] > 0:
            self.fails[request.path] -= 1
            return Reply(503)
        data = self.pictures.get(request.path)
        return Reply(404) if data is None else Reply(body=data)

    def asked(self, path: str) -> int:
        """How often."""
        return sum(request.path == path for request in self.requests)
