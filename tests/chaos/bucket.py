"""An S3 that keeps what is put into it, in memory; spoken to by real boto3."""

from __future__ import annotations

from collections import Counter
from urllib.parse import unquote, urlsplit

from tests.chaos.mishaps import s3_fault
from tests.stand_ins.flaky_s3 import S3Fault
from tests.stand_ins.http_server import Reply, Request, StandIn

BUCKET = "chaos"


class Bucket(StandIn):
    """``objects`` is what it holds: key → bytes."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.objects: dict[str, bytes] = {}
        self._puts: Counter[str] = Counter()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point the pipeline here."""
        return {
            "S3_BUCKET": BUCKET,
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": "chaos",
            "AWS_SECRET_ACCESS_KEY": "chaos",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def answer(self, request: Request) -> Reply:
        """Put an object, unless the seed is against it."""
        path = unquote(urlsplit(request.path).path)
        key = path.removeprefix(f"/{BUCKET}/")
        if request.method != "PUT" or key == path:
            return Reply(405)
        self._puts[key] += 1
        fault = s3_fault(self.seed, key, self._puts[key])
        if fault == "refused":
            return S3Fault().reply()
        self.objects[key] = request.body
        return Reply(disconnect=True) if fault else Reply()
