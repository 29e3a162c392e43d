"""The public URL of an S3 object. Pure."""

from __future__ import annotations

from urllib.parse import quote


def object_url(
    *, key: str, bucket: str, region: str, base_url: str | None = None, endpoint_url: str | None = None
) -> str:
    """``base_url`` (a CDN) wins, then the endpoint by path, then AWS's regional host.

    A bucket with a dot has no valid certificate as a host name, so it goes into the path.
    """
    path = quote(key)
    if base_url:
        return f"{base_url.rstrip('/')}/{path}"
    if endpoint_url:
        return f"{endpoint_url.rstrip('/')}/{bucket}/{path}"
    host = f"s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
    return f"https://{host}/{bucket}/{path}" if "." in bucket else f"https://{bucket}.{host}/{path}"
