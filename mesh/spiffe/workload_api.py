"""X.509 identities from the SPIFFE Workload API (SPIFFE Workload API standard, 5), kept current for ever."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mesh.api.errors import InvalidInputError
from mesh.kit.backoff import Backoff
from mesh.model.identity import parse_spiffe_id
from mesh.spiffe import certificate, der, grpc, protobuf

log = logging.getLogger(__name__)

METHOD = "/SpiffeWorkloadAPI/FetchX509SVID"
# The header proves that a caller means the Workload API, against request forgery (SPIFFE Workload Endpoint, 5).
SECURITY_HEADER = ("workload.spiffe.io", "true")


class SvidError(ValueError):
    """The Workload API gave something that must not be used; the text says what."""


@dataclass(frozen=True, slots=True)
class Svid:
    """One identity with its key. ``chain_pem`` is the leaf and its intermediates; ``key_pem`` is PKCS#8."""

    spiffe_id: str
    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    dns_names: tuple[str, ...]
    serial: str


@dataclass(frozen=True, slots=True)
class X509Context:
    """What a handshake needs: who we are, and the roots of the trust domain."""

    svid: Svid
    bundle_pem: bytes


async def watch_x509(
    socket_path: str,
    on_error: Callable[[str], None] | None = None,
    backoff: Backoff | None = None,
) -> AsyncGenerator[X509Context, None]:
    """Yield the identity now and after each rotation, for ever.

    An error of any kind (no socket, PermissionDenied because no entry exists yet, a broken answer) ends neither the
    iteration nor what the caller holds: it is logged (the same reason in a row once), passed to *on_error*, and
    tried again after a growing wait.
    """
    waits = backoff or Backoff(0.1, 2.0)
    last: X509Context | None = None
    told = ""
    while True:
        stream = grpc.server_stream(grpc.unix(socket_path), METHOD, b"", [SECURITY_HEADER])
        try:
            async with aclosing(stream) as messages:
                async for message in messages:
                    context = parse_response(message, datetime.now(UTC))
                    waits.reset()
                    told = ""
                    if context != last:
                        last = context
                        yield context
            reason = "the agent ended the stream"
        except (grpc.GrpcError, SvidError) as error:
            reason = str(error)
        level = logging.WARNING if reason != told else logging.DEBUG
        told = reason
        log.log(level, "no news from the workload API", extra={"reason": reason, "socket": socket_path})
        if on_error:
            on_error(reason)
        await waits.wait()


def parse_response(message: bytes, now: datetime) -> X509Context:
    """Read an X509SVIDResponse and take its first SVID, the default one (SPIFFE Workload API, 5.2.2).

    Raises SvidError for anything that could not serve: rubbish, no SVID, an expired leaf, a leaf without exactly the
    one announced SPIFFE ID.
    """
    try:
        for number, value in protobuf.fields(message):
            if number == 1 and isinstance(value, bytes):
                return _parse_svid(value, now)
    except (protobuf.WireError, der.DerError, InvalidInputError, UnicodeDecodeError) as error:
        raise SvidError(f"bad answer: {error}") from error
    raise SvidError("an answer without an SVID")


def _parse_svid(message: bytes, now: datetime) -> X509Context:
    parts = {number: value for number, value in protobuf.fields(message) if isinstance(value, bytes)}
    missing = [number for number in (1, 2, 3, 4) if not parts.get(number)]
    if missing:
        raise SvidError(f"an SVID without field {missing[0]}")
    spiffe_id = str(parse_spiffe_id(parts[1].decode()))
    chain, roots = der.split(parts[2]), der.split(parts[4])
    leaf = certificate.parse(chain[0])
    if leaf.uris != (spiffe_id,):
        raise SvidError(f"a certificate for {', '.join(leaf.uris) or 'no URI'} announced as {spiffe_id}")
    if leaf.not_after <= now:
        raise SvidError(f"an SVID that expired at {leaf.not_after.isoformat()}, while it is {now.isoformat()} here")
    svid = Svid(
        spiffe_id=spiffe_id,
        chain_pem=b"".join(certificate.pem("CERTIFICATE", item) for item in chain),
        key_pem=certificate.pem("PRIVATE KEY", parts[3]),
        not_before=leaf.not_before,
        not_after=leaf.not_after,
        dns_names=leaf.dns_names,
        serial=leaf.serial,
    )
    return X509Context(svid, b"".join(certificate.pem("CERTIFICATE", item) for item in roots))
