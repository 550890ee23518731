"""Wire format 1 of sidecar configurations: golden bytes, refusals, chunks (design 7, contract 4.format)."""

import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.model import codec
from mesh.model.codec import Revision
from mesh.model.sidecar_config import (
    Endpoint,
    IncomingPort,
    MtlsMode,
    PodAddress,
    Protocol,
    ServicePort,
    SidecarConfig,
)
from mesh.model.topology import Hints

GOLDEN = Path(__file__).parents[2] / "golden" / "codec"
WEB = "spiffe://example.org/ns/shop/sa/web"

SMALL = SidecarConfig(
    trust_domain="example.org",
    mtls_mode=MtlsMode.STRICT,
    client_max_body_size=1048576,
    error_log_level="warn",
    log_format="default",
    access_control_mode="allow",
    incoming=(IncomingPort(8080, Protocol.HTTP), IncomingPort(9000, Protocol.TCP)),
    services=(
        ServicePort(
            "shop",
            "web",
            80,
            Protocol.HTTP,
            "least_time",
            ("10.0.0.1", "fd00::1"),
            (Endpoint("10.1.0.2", 8080, WEB, "shop/web-0"), Endpoint("10.1.0.3", 8080)),
        ),
    ),
    pods=(PodAddress("10.1.0.2", WEB, ((8080, Protocol.HTTP),), "shop/web-0"),),
)


def large(endpoints: int) -> SidecarConfig:
    """A configuration that deflates badly: every pod name is different."""
    rows = tuple(
        Endpoint(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 8080, WEB, f"shop/{codec.digest(str(n).encode())}")
        for n in range(endpoints)
    )
    return SidecarConfig(
        "example.org",
        MtlsMode.PERMISSIVE,
        0,
        "warn",
        "json",
        "allow",
        services=(ServicePort("shop", "web", 80, Protocol.HTTP, "random", ("10.0.0.1",), rows),),
    )


@pytest.mark.spec("4.format")
def test_document_bytes_are_fixed() -> None:
    """The canonical bytes are those that format 1 has always had."""
    assert codec.canonical(SMALL) == (GOLDEN / "format-1.json").read_bytes().rstrip(b"\n")


@pytest.mark.spec("4.format")
def test_bytes_of_later_fields_are_fixed() -> None:
    """Fields that came later are written where they are set, so that what has none keeps its bytes."""
    services = (replace(SMALL.services[0], request_timeout_ms=1500, retries=2, retry_non_idempotent=True),)
    assert codec.canonical(replace(SMALL, services=services)) == (GOLDEN / "requests.json").read_bytes().rstrip(b"\n")


@pytest.mark.spec("4.format")
def test_bytes_of_hints_are_fixed() -> None:
    """Equal hints stand once in a table; endpoints without any have the row that they have always had."""
    near, far = Hints(("a",)), Hints(("a", "b"), ("node-1",))
    first, second = SMALL.services[0].endpoints
    endpoints = (replace(first, hints=near), replace(first, port=8081, hints=far), replace(second, hints=near), second)
    services = (replace(SMALL.services[0], endpoints=endpoints),)
    config = replace(SMALL, services=services, node_zones=(("node-1", "a"), ("node-2", "b")))
    assert codec.canonical(config) == (GOLDEN / "hints.json").read_bytes().rstrip(b"\n")
    (message,) = codec.encode(config, Revision(1, 1))
    assert codec.decode(message.headers, message.payload).config == config


@pytest.mark.spec("4.format")
def test_headers_are_fixed() -> None:
    """The headers name format, revision and digest; a small document is sent as it is."""
    (message,) = codec.encode(SMALL, Revision(3, 41))
    assert message.subject_suffix == ""
    assert message.headers == {
        "Mesh-Format": "1",
        "Mesh-Revision": "3.41",
        "Mesh-Digest": (GOLDEN / "format-1.sha256").read_text().strip(),
    }
    assert message.payload == codec.canonical(SMALL)


@pytest.mark.spec("4.format")
def test_large_documents_are_deflated() -> None:
    """Over 1 KiB the payload is zlib data and says so."""
    (message,) = codec.encode(large(100), Revision(1, 1))
    assert message.headers[names.HEADER_ENCODING] == "zlib"
    assert zlib.decompress(message.payload) == codec.canonical(large(100))
    assert codec.decode(message.headers, message.payload).config == large(100)


@pytest.mark.spec("4.chunks")
def test_huge_documents_travel_in_chunks_before_their_manifest() -> None:
    """Over 512 KiB deflated, numbered chunks come first and the manifest last; together they are the document."""
    config = large(20_000)
    *chunks, manifest = codec.encode(config, Revision(2, 9))
    assert len(chunks) > 1
    assert [chunk.subject_suffix for chunk in chunks] == [f".{n}" for n in range(len(chunks))]
    assert all(len(chunk.payload) <= codec.CHUNK_BYTES for chunk in chunks)
    assert (manifest.subject_suffix, manifest.payload) == ("", b"")
    assert codec.chunk_count(manifest.headers) == len(chunks)
    payload = codec.join_chunks(manifest.headers, [(chunk.headers, chunk.payload) for chunk in chunks])
    assert codec.decode(manifest.headers, payload) == (config, Revision(2, 9), codec.digest(codec.canonical(config)))


@pytest.mark.spec("4.chunks")
def test_chunks_of_another_revision_are_refused() -> None:
    """Chunks that a newer publication has already replaced never mix with an older manifest."""
    config = large(20_000)
    *_, manifest = codec.encode(config, Revision(2, 9))
    *newer, _ = codec.encode(config, Revision(2, 10))
    with pytest.raises(InvalidInputError, match=r"revision 2\.9"):
        codec.join_chunks(manifest.headers, [(chunk.headers, chunk.payload) for chunk in newer])


@pytest.mark.spec("4.chunks")
def test_missing_and_swapped_chunks_are_refused() -> None:
    """Every chunk must be there, in its place."""
    *chunks, manifest = codec.encode(large(20_000), Revision(2, 9))
    pairs = [(chunk.headers, chunk.payload) for chunk in chunks]
    with pytest.raises(InvalidInputError, match="chunks"):
        codec.join_chunks(manifest.headers, pairs[:-1])
    with pytest.raises(InvalidInputError, match="chunk 0"):
        codec.join_chunks(manifest.headers, pairs[::-1])


@pytest.mark.spec("4.format")
@pytest.mark.parametrize("version", ["2", "2.0", "", "x", "11"])
def test_other_major_formats_are_refused(version: str) -> None:
    """A message of a higher major format is refused, so the agent keeps what it has."""
    (message,) = codec.encode(SMALL, Revision(1, 1))
    with pytest.raises(InvalidInputError, match="Mesh-Format"):
        codec.decode(message.headers | {names.HEADER_FORMAT: version}, message.payload)


@pytest.mark.spec("4.format")
def test_minor_formats_unknown_fields_and_longer_rows_are_read() -> None:
    """A newer controller of the same major format may add fields and row items."""
    document = json.loads(codec.canonical(SMALL))
    document["policies"] = [{"kind": "new"}]
    document["services"][0]["timeout"] = 5
    document["services"][0]["endpoints"][0] += [-1, "later"]
    document["pods"][0] += [[], "later"]
    document["incoming"][0].append({"later": True})
    state = codec.canonical_json(document)
    (message,) = codec.encode_state(state, Revision(1, 1))
    decoded = codec.decode(message.headers | {names.HEADER_FORMAT: "1.7"}, message.payload)
    assert decoded.config == SMALL
    assert decoded.digest == codec.digest(state)


@pytest.mark.spec("4.format")
@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({names.HEADER_DIGEST: "0" * 64}, "Mesh-Digest"),
        ({names.HEADER_REVISION: "7"}, "Mesh-Revision"),
        ({names.HEADER_REVISION: "1.-2"}, "Mesh-Revision"),
        ({names.HEADER_REVISION: "1.²"}, "Mesh-Revision"),
        ({names.HEADER_ENCODING: "gzip"}, "Mesh-Encoding"),
        ({names.HEADER_ENCODING: "zlib"}, "payload"),
    ],
)
def test_wrong_headers_are_refused_by_name(change: dict[str, str], place: str) -> None:
    """A damaged or foreign message is refused with the place of the fault."""
    (message,) = codec.encode(SMALL, Revision(1, 1))
    with pytest.raises(InvalidInputError, match=place):
        codec.decode(message.headers | change, message.payload)


@pytest.mark.spec("4.format")
def test_truncated_data_is_refused() -> None:
    """Half a message is never half applied."""
    (message,) = codec.encode(large(100), Revision(1, 1))
    with pytest.raises(InvalidInputError, match="payload"):
        codec.decode(message.headers, message.payload[:-1])


@pytest.mark.spec("4.format")
@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("mtlsMode",), "STRICT", "mtlsMode"),
        (("trustDomain",), 7, "trustDomain"),
        (("trustDomain",), "a\tb", "trustDomain"),
        (("clientMaxBodySize",), -1, "clientMaxBodySize"),
        (("incoming", 0, 0), 65536, "incoming"),
        (("incoming", 0, 0), True, "incoming"),
        (("incoming", 0, 1), "quic", "incoming"),
        (("services",), {}, "services"),
        (("services", 0, "endpoints", 0, 2), 1, "endpoints.identity"),
        (("services", 0, "endpoints", 0, 3), "a\nb", "endpoints.pod"),
        (("services", 0, "requestTimeoutMs"), -1, "requestTimeoutMs"),
        (("services", 0, "retries"), "2", "retries"),
        (("services", 0, "retryNonIdempotent"), 1, "retryNonIdempotent"),
        (("services", 0, "endpoints", 0), ["10.1.0.2", 1, 0, "", 0], "endpoints.hints"),
        (("hints",), [[["a"]]], "hints"),
        (("hints",), [[["a"], ["b\n"]]], "hints"),
        (("nodeZones",), {"a": 1}, "nodeZones"),
        (("nodeZones",), [], "nodeZones"),
        (("pods", 0), ["10.1.0.2"], "pods"),
        (("transparent",), 1, "transparent"),
        (("serverFirstMs",), 0, "serverFirstMs"),
    ],
)
def test_wrong_documents_are_refused_by_place(path: tuple[str | int, ...], value: object, place: str) -> None:
    """Each field is checked; control characters cannot reach the data plane's state."""
    document = json.loads(codec.canonical(SMALL))
    target = document
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    (message,) = codec.encode_state(codec.canonical_json(document), Revision(1, 1))
    with pytest.raises(InvalidInputError, match=place):
        codec.decode(message.headers, message.payload)


def test_revisions_order_by_epoch_then_counter() -> None:
    """A new leader's first revision is newer than every one of the leader before."""
    assert codec.parse_revision("2.0") > codec.parse_revision("1.999") > codec.parse_revision("1.99")
