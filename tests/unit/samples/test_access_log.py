"""The sidecar's access log as the sample reads it."""

import json

import pytest

from samples.access_log import Call, calls_in

ID = "spiffe://example.org/ns/shop/sa/web"
JSON = json.dumps(
    {
        "direction": "incoming",
        "peer_identity": ID,
        "tls_version": "TLSv1.3",
        "tls_cipher": "TLS_AES_128_GCM_SHA256",
        "method": "GET",
        "uri": "/a?b=c",
        "status": 200,
        "request_id": "7f",
    }
)
TEXT = (
    '198.18.0.1 [2026-11-21T07:00:00+00:00] "GET /a?b=c HTTP/1.1" 200 12 0.001 direction=incoming '
    f'peer="{ID}" tls="TLSv1.3" cipher="TLS_AES_128_GCM_SHA256" upstream="-" server="198.18.0.2:9000" refused="-" '
    'request_id="7f"'
)


@pytest.mark.parametrize("line", [JSON, TEXT], ids=["json", "default"])
def test_both_formats_tell_the_same(line: str) -> None:
    assert list(calls_in("stock", [line])) == [
        Call(ID, "stock", "GET", "/a?b=c", 200, "TLSv1.3", "TLS_AES_128_GCM_SHA256", "7f")
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "2026/11/21 07:00:00 [notice] 7#7: start",
        TEXT.replace("incoming", "outgoing"),
        '{"direction":"incoming"}',
    ],
)
def test_other_lines_are_passed_over(line: str) -> None:
    assert list(calls_in("stock", [line])) == []


def test_a_dash_is_nothing() -> None:
    [call] = calls_in("stock", [TEXT.replace(ID, "-").replace("TLSv1.3", "-").replace("TLS_AES_128_GCM_SHA256", "-")])
    assert (call.identity, call.tls_version, call.tls_cipher) == ("", "", "")
