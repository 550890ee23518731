"""Wire format 1: what a sidecar configuration looks like on the bus (design 7). Standard library only: agents import it.

A document is canonical JSON (sorted keys, no spaces, UTF-8), so equal configurations have equal bytes, and the digest
of the bytes names the state. Over 1 KiB it is deflated; over 512 KiB deflated it is cut into chunks, each with its own
subject, and a manifest without a payload follows on the group's subject. SPIFFE IDs stand once in a table; rows refer
to it by position, -1 for none. Readers ignore fields and trailing row items that they do not know, and refuse a format
of a higher major number.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from mesh.api import names
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.model import sidecar_document
from mesh.model.sidecar_config import SidecarConfig

FORMAT: Final = "1"
ENCODING_ZLIB: Final = "zlib"
COMPRESS_OVER_BYTES: Final = 1024
CHUNK_BYTES: Final = 512 * 1024
DOCUMENT_LIMIT_BYTES: Final = 256 * 1024 * 1024
_ZLIB_LEVEL: Final = 1  # a quarter of the time of level 6 for a third more bytes


class Revision(NamedTuple):
    """Order of configurations: ``epoch`` counts changes of the leading controller, ``counter`` its publications."""

    epoch: int
    counter: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.counter}"


class BusMessage(NamedTuple):
    """One message to publish; ``subject_suffix`` is empty or ``.<chunk number>``, after the group's own subject."""

    subject_suffix: str
    headers: dict[str, str]
    payload: bytes


class Decoded(NamedTuple):
    """What a message says: the configuration, its revision and the digest of its state."""

    config: SidecarConfig
    revision: Revision
    digest: str


def parse_revision(text: str) -> Revision:
    """Read ``<epoch>.<counter>``. Raises InvalidInputError."""
    epoch, dot, counter = text.partition(".")
    if not (dot and epoch.isascii() and epoch.isdigit() and counter.isascii() and counter.isdigit()):
        raise _invalid(f"header {names.HEADER_REVISION}", text, "<epoch>.<counter>, two numbers")
    return Revision(int(epoch), int(counter))


class SharedScopes:
    """Remembers the JSON of what many groups share, for one round of :func:`canonical`."""

    def __init__(self) -> None:
        self._fields: dict[tuple[int, int], tuple[SidecarConfig, dict[str, bytes]]] = {}

    def fields(self, config: SidecarConfig) -> Mapping[str, bytes]:
        """Give the JSON of the fields that depend on the scope of *config*."""
        # Equal scopes are the same objects; the entry holds them, so that their ids stay theirs.
        key = (id(config.services), id(config.pods))
        if key not in self._fields:
            rendered = sidecar_document.render_scope(config)
            self._fields[key] = (config, {name: canonical_json(value) for name, value in rendered.items()})
        return self._fields[key][1]


def canonical(config: SidecarConfig, shared: SharedScopes | None = None) -> bytes:
    """Give the one byte string that stands for *config*; *shared* saves work when many groups have one scope."""
    fields = {name: canonical_json(value) for name, value in sidecar_document.render_own(config).items()}
    fields.update((shared or SharedScopes()).fields(config))
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), fields[name]) for name in sorted(fields))


def canonical_json(document: object) -> bytes:
    """Write JSON so that equal values give equal bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(state: bytes) -> str:
    """Name a state by its canonical bytes: 64 hex digits of SHA-256."""
    return hashlib.sha256(state).hexdigest()


def encode(config: SidecarConfig, revision: Revision, shared: SharedScopes | None = None) -> list[BusMessage]:
    """Give the messages to publish, in order: one snapshot, or the chunks and then their manifest."""
    return encode_state(canonical(config, shared), revision)


def encode_state(state: bytes, revision: Revision) -> list[BusMessage]:
    """Give the messages for canonical bytes that are already at hand; see :func:`encode`."""
    headers = {
        names.HEADER_FORMAT: FORMAT,
        names.HEADER_REVISION: str(revision),
        names.HEADER_DIGEST: digest(state),
    }
    payload = state
    if len(state) > COMPRESS_OVER_BYTES:
        payload = deflate(state)
        headers[names.HEADER_ENCODING] = ENCODING_ZLIB
    if len(payload) <= CHUNK_BYTES:
        return [BusMessage("", headers, payload)]
    pieces = [payload[start : start + CHUNK_BYTES] for start in range(0, len(payload), CHUNK_BYTES)]
    chunks = [
        BusMessage(f".{number}", headers | {names.HEADER_CHUNK: f"{number}/{len(pieces)}"}, piece)
        for number, piece in enumerate(pieces)
    ]
    return [*chunks, BusMessage("", headers | {names.HEADER_CHUNK: str(len(pieces))}, b"")]


def chunk_count(headers: Mapping[str, str]) -> int:
    """Say how many chunks a manifest announces; 0 means that the payload is the whole document.

    Raises InvalidInputError.
    """
    text = headers.get(names.HEADER_CHUNK)
    if text is None:
        return 0
    limit = DOCUMENT_LIMIT_BYTES // CHUNK_BYTES
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= limit):
        raise _invalid(f"header {names.HEADER_CHUNK}", text, f"the number of chunks, 1 to {limit}")
    return int(text)


def join_chunks(manifest: Mapping[str, str], chunks: Sequence[tuple[Mapping[str, str], bytes]]) -> bytes:
    """Put a chunked payload together again, in order of number.

    A chunk of another revision means that a newer configuration is on its way: its manifest follows. Raises
    InvalidInputError.
    """
    count = chunk_count(manifest)
    revision = manifest.get(names.HEADER_REVISION)
    if len(chunks) != count:
        raise _invalid("chunks", len(chunks), f"{count} chunks")
    for number, (headers, _) in enumerate(chunks):
        if headers.get(names.HEADER_CHUNK) != f"{number}/{count}" or headers.get(names.HEADER_REVISION) != revision:
            got = f"{headers.get(names.HEADER_CHUNK)} of revision {headers.get(names.HEADER_REVISION)}"
            raise _invalid(f"chunk {number}", got, f"{number}/{count} of revision {revision}")
    return b"".join(payload for _, payload in chunks)


def decode(headers: Mapping[str, str], payload: bytes) -> Decoded:
    """Read one snapshot; the payload of a chunked one comes from :func:`join_chunks`. Raises InvalidInputError."""
    check_format(headers.get(names.HEADER_FORMAT, ""))
    revision = parse_revision(headers.get(names.HEADER_REVISION, ""))
    state = inflate(headers.get(names.HEADER_ENCODING, ""), payload)
    named = headers.get(names.HEADER_DIGEST, "")
    actual = digest(state)
    if named != actual:
        raise _invalid(f"header {names.HEADER_DIGEST}", named, f"the digest of the document, {actual}")
    return Decoded(sidecar_document.parse(load_json(state)), revision, actual)


def load_json(text: bytes) -> Any:
    """Read JSON from the bus. Raises InvalidInputError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid("document", type(error).__name__, "JSON in UTF-8") from error


def check_format(text: str) -> None:
    """Raise InvalidInputError for a format that this version does not read."""
    major = text.partition(".")[0]
    if major != FORMAT:
        raise InvalidInputError(
            [
                Problem(
                    f"header {names.HEADER_FORMAT}",
                    quote(text),
                    f"{FORMAT} or {FORMAT}.<minor>",
                    "restart the pod to give it a sidecar of the controller's version",
                )
            ]
        )


def deflate(state: bytes) -> bytes:
    """Make a payload small."""
    return zlib.compress(state, _ZLIB_LEVEL)


def inflate(encoding: str, payload: bytes) -> bytes:
    """Undo what the header names. Raises InvalidInputError."""
    if not encoding:
        return payload
    if encoding != ENCODING_ZLIB:
        raise _invalid(f"header {names.HEADER_ENCODING}", encoding, ENCODING_ZLIB)
    inflater = zlib.decompressobj()
    try:
        state = inflater.decompress(payload, DOCUMENT_LIMIT_BYTES)
    except zlib.error as error:
        raise _invalid("payload", f"{len(payload)} bytes", "zlib data") from error
    if not inflater.eof:
        raise _invalid(
            "payload", f"{len(payload)} bytes", f"complete zlib data of at most {DOCUMENT_LIMIT_BYTES} bytes"
        )
    return state


def _invalid(place: str, got: object, takes: str) -> InvalidInputError:
    return InvalidInputError([Problem(place, quote(got), takes)])
