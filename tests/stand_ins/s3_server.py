"""What a running S3 server has, whoever plays it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class S3Server:
    """``url`` is the endpoint. ``public_path`` is where a public bucket is read without credentials."""

    url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    public_path: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which boto3, here or in a worker process, uses this server."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def public_url(self, bucket: str) -> str:
        """Base of the URLs of a public bucket."""
        return f"{self.url}{self.public_path}/{bucket}"

    def create_public_bucket(self, name: str) -> None:
        """Make a bucket that anybody may read."""
        self.client.create_bucket(Bucket=name)
        self.client.put_bucket_acl(Bucket=name, ACL="public-read")

    @cached_property
    def client(self) -> S3Client:
        """A client of the tests' own, built without the project's code."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )
