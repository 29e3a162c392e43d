"""Buying one picture: the paid call, the check of what came, and its safe place in staging."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tasks.core.catalogue import ModelSpec
from tasks.core.errors import BadBytes, Invalid, NoRoom, NotSent, StagingFailed, StepError
from tasks.core.keys import staging_key
from tasks.core.pictures import StagedPicture
from tasks.core.references import Reference
from tasks.ledger.rows import Claim
from tasks.ledger.settling import Bought
from tasks.pictures.fit import fit
from tasks.pictures.inspect import Decoded, decode
from tasks.pictures.thumbnail import thumbnail
from tasks.providers.base import GeneratedPicture, GenerationRequest, Provider
from tasks.services import Services
from tasks.storage.base import Missing
from tasks.storage.folder import os_errors, require_room


def buy(services: Services, provider: Provider, claim: Claim) -> Bought:
    """Make the one paid call of the claim. Raises StepError of the fitting class, with what it has cost.

    Raises NoRoom before the call, and StagingFailed after it, when the picture has no place to be kept.
    """
    spec = ModelSpec.model_validate(claim.spec)
    with request_of(services, claim, spec, spec.deadline_seconds) as request:
        generated = provider.generate(request)
    return keep(services, claim, generated)


def keep(services: Services, claim: Claim, generated: GeneratedPicture) -> Bought:
    """Put what was bought into staging, in the size that is published. Raises BadBytes, StagingFailed."""
    cost = claim.price_usd_micros if generated.cost_usd_micros is None else generated.cost_usd_micros
    try:
        fitted = fit(decode(generated.data), claim.size)
        small = thumbnail(fitted)
    except BadBytes as error:
        error.cost_usd_micros, error.trace_id = cost, generated.trace_id
        raise
    return Bought(
        staged=_stage(services, claim, fitted, cost),
        extension=fitted.picture.extension,
        thumbnail_jpeg=small,
        cost_usd_micros=cost,
        trace_id=generated.trace_id,
    )


@contextmanager
def request_of(
    services: Services, claim: Claim, spec: ModelSpec, deadline_seconds: float, *, asks: bool = False
) -> Iterator[GenerationRequest]:
    """What a claim asks a provider for, with a scratch folder for the time of the call.

    ``asks``: it is only asked what has become of that, and has had the pictures to start from. Raises NoRoom; Invalid
    or NotSent when one of these is not there, or cannot be read now.
    """
    with _room(services) as scratch:
        references = () if asks else _references(services, claim, Path(scratch))
        yield GenerationRequest(
            request_id=f"{claim.fingerprint[:32]}-{claim.image_id}-{claim.fence}",
            model=spec.model,
            prompt=claim.prompt,
            size=claim.native_size,
            parameters=claim.parameters,
            deadline_seconds=deadline_seconds,
            scratch=Path(scratch),
            references=references,
            endpoint=spec.endpoint,
            token_prices=spec.token_prices_usd,
        )


@contextmanager
def _room(services: Services) -> Iterator[str]:
    """A scratch folder for one call, made while there is room for what the call will bring. Raises NoRoom."""
    root = services.settings.home / "scratch"
    free_bytes = services.settings.preferences.min_free_disk_megabytes * 1_000_000
    try:
        services.staging.require_room(free_bytes)
        with os_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            require_room(root, free_bytes)
            scratch = tempfile.TemporaryDirectory(dir=root, ignore_cleanup_errors=True)
    except StepError as error:
        raise NoRoom(error) from error
    with scratch:
        yield scratch.name


def _references(services: Services, claim: Claim, scratch: Path) -> tuple[Path, ...]:
    """The pictures to start from, as files."""
    files = []
    for number, reference in enumerate(claim.references, start=1):
        file = scratch / f"reference-{number}{PurePosixPath(reference.staging_key).suffix}"
        data = _reference(services, reference)
        try:
            with os_errors(scratch):
                file.write_bytes(data)
        except StepError as error:
            raise NoRoom(error) from error
        files.append(file)
    return tuple(files)


def _reference(services: Services, reference: Reference) -> bytes:
    try:
        data = services.staging.get(reference.staging_key)
    except Missing as error:
        raise Invalid(
            f"{reference.name} is not in staging (is STAGING_URL the same everywhere?); run its row again"
        ) from error
    except StepError as error:
        raise NotSent(f"nothing was bought, {reference.name} cannot be read from staging: {error}") from error
    if hashlib.sha256(data).hexdigest() != reference.sha256:
        raise Invalid(f"{reference.name} is damaged in staging; run its row again")
    return data


def _stage(services: Services, claim: Claim, decoded: Decoded, cost_usd_micros: int) -> StagedPicture:
    sha256 = hashlib.sha256(decoded.data).hexdigest()
    staged = StagedPicture(
        key=staging_key(claim.fingerprint, sha256, decoded.picture.extension),
        content_type=decoded.picture.content_type,
        size_bytes=len(decoded.data),
        sha256=sha256,
    )
    try:
        services.staging.put(staged.key, decoded.data, staged.content_type)
    except StepError as error:
        raise StagingFailed(error, cost_usd_micros) from error
    return staged
