"""Deltas in wire format 1: messages that make one configuration of a group the next one (design 7, ADR 0013).

``Mesh-Base`` is the digest of the configuration that a delta changes, ``Mesh-Digest`` of the one that comes of it. Where
both are the same nothing changes but the revision: such a notice has no payload, and who has anything else reads the
snapshot.
"""

from collections.abc import Mapping
from typing import Final

from mesh.api import names
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.model import codec, delta_document
from mesh.model.codec import BusMessage, Decoded, Revision
from mesh.model.sidecar_config import SidecarConfig

_DEFLATE_OVER_BYTES: Final = 256

_Scopes = tuple[SidecarConfig, SidecarConfig]


class SharedDeltas:
    """Remembers what changed in scopes that many groups share, for one round of :func:`encode`."""

    def __init__(self) -> None:
        self._fields: dict[tuple[int, ...], tuple[_Scopes, Mapping[str, object]]] = {}

    def fields(self, before: SidecarConfig, after: SidecarConfig) -> Mapping[str, object]:
        """Give the fields of a delta that depend on the scopes of both."""
        # Equal scopes are the same objects; the entry holds them, so that their ids stay theirs.
        key = (id(before.services), id(before.pods), id(after.services), id(after.pods))
        if key not in self._fields:
            self._fields[key] = ((before, after), delta_document.render_scope(before, after))
        return self._fields[key][1]


def encode(base: Decoded, after: Decoded, shared: SharedDeltas | None = None) -> BusMessage:
    """Give the message that makes *after* of *base*."""
    fields = (shared or SharedDeltas()).fields(base.config, after.config)
    payload = codec.canonical_json({**fields, **delta_document.render_own(base.config, after.config)})
    headers = _headers(base.digest, after.digest, after.revision)
    if len(payload) > _DEFLATE_OVER_BYTES:
        payload = codec.deflate(payload)
        headers[names.HEADER_ENCODING] = codec.ENCODING_ZLIB
    return BusMessage("", headers, payload)


def encode_notice(digest: str, revision: Revision) -> BusMessage:
    """Give the message that names what is current without saying what has changed."""
    return BusMessage("", _headers(digest, digest, revision), b"")


def is_delta(headers: Mapping[str, str]) -> bool:
    """Say whether a message is a delta or a notice; others are whole configurations, or the manifest of one."""
    return names.HEADER_BASE in headers


def fits(base: Decoded | None, headers: Mapping[str, str]) -> bool:
    """Say whether a delta changes *base*."""
    return base is not None and headers.get(names.HEADER_BASE) == base.digest


def decode(base: Decoded, headers: Mapping[str, str], payload: bytes) -> Decoded:
    """Make the change to *base*.

    Raises InvalidInputError when the outcome is not the one that the sender has: a part that this version does not know
    would be missing from it.
    """
    codec.check_format(headers.get(names.HEADER_FORMAT, ""))
    revision = codec.parse_revision(headers.get(names.HEADER_REVISION, ""))
    if not fits(base, headers):
        raise _other(names.HEADER_BASE, headers, base.digest)
    config, actual = base.config, base.digest
    if payload:
        text = codec.inflate(headers.get(names.HEADER_ENCODING, ""), payload)
        config = delta_document.apply(config, codec.load_json(text))
        actual = codec.digest(codec.canonical(config))
    if headers.get(names.HEADER_DIGEST) != actual:
        raise _other(names.HEADER_DIGEST, headers, actual)
    return Decoded(config, revision, actual)


def _headers(base: str, digest: str, revision: Revision) -> dict[str, str]:
    return {
        names.HEADER_FORMAT: codec.FORMAT,
        names.HEADER_REVISION: str(revision),
        names.HEADER_BASE: base,
        names.HEADER_DIGEST: digest,
    }


def _other(header: str, headers: Mapping[str, str], takes: str) -> InvalidInputError:
    return InvalidInputError([Problem(f"header {header}", quote(headers.get(header, "")), takes)])
