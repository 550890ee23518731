"""What the sample calls a success: every expected pair proven over TLS 1.3, and no call failed."""

from dataclasses import replace
from typing import Any

import pytest

from samples.access_log import Call
from samples.run import EXPECTED, NAMESPACE, failures, objects, table

CALLS = [
    Call(f"spiffe://example.org/ns/{NAMESPACE}/sa/{caller}", server, "GET", f"{path}?call=1", 200, "TLSv1.3", "AES")
    for caller, server, path in sorted(EXPECTED)
]
ANSWERS: list[dict[str, Any]] = [{"url": "http://shop/buy", "status": 200}]


def test_all_pairs_proven_is_a_success() -> None:
    assert failures(ANSWERS, CALLS) == []


@pytest.mark.parametrize("change", [{"identity": ""}, {"tls_version": ""}, {"tls_version": "TLSv1.2"}])
def test_a_call_without_proof_is_a_failure(change: dict[str, Any]) -> None:
    [failure] = failures(ANSWERS, [replace(CALLS[0], **change), *CALLS[1:]])
    assert "verified identity" in failure


def test_a_failed_call_is_a_failure() -> None:
    assert failures([{"url": "u", "status": 0, "error": "refused"}], CALLS) == ["u: refused"]
    failed = replace(CALLS[0], status=502)
    assert failures(ANSWERS, [*CALLS, failed]) == [f"{failed.server} answered 502 to {failed.uri}"]


def test_the_table_shows_plaintext_as_such() -> None:
    rows = table([replace(CALLS[0], identity="", tls_version="", tls_cipher="")]).splitlines()
    assert rows[1].split()[:2] == ["nobody", CALLS[0].server]
    assert "plaintext" in rows[1]


def test_the_manifest_takes_the_image_everywhere() -> None:
    documents = objects("localhost/mesh-sample:1")
    images = [
        container["image"]
        for document in documents
        for container in document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    ]
    assert images == ["localhost/mesh-sample:1"] * 3
    assert documents[0]["kind"] == "Namespace"
