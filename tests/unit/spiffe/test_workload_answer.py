"""What the Workload API may give us and what is refused (reliability case 5, 6)."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.spiffe.workload_api import SvidError, parse_response
from tests.fakes.authority import Authority, Issued
from tests.fakes.workload_api import answer

AUTHORITY = Authority()
WEB = AUTHORITY.issue("/ns/shop/sa/web", ("web-0", "web.shop.svc"))
NOW = dt.datetime.now(dt.UTC)


def changed(**fields: object) -> Issued:
    return Issued(**{**vars(WEB), **fields})


def test_the_first_svid_counts() -> None:
    """Identity, names, validity, serial and roots arrive as issued."""
    assert parse_response(answer(WEB, AUTHORITY.issue("/second")), NOW) == WEB.context()


def test_the_key_is_not_shown() -> None:
    """A context that ends in a log line tells no secret."""
    context = parse_response(answer(WEB), NOW)
    assert "PRIVATE" not in repr(context)
    assert b"PRIVATE" in context.svid.key_pem


TWO_URIS = AUTHORITY.issue("/ns/a/sa/b", uris=("spiffe://example.org/ns/a/sa/b", "spiffe://example.org/ns/c/sa/d"))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "without an SVID"),
        (b"\x0a\xff", "bad answer"),
        (answer(changed(spiffe_id="spiffe://example.org/ns/other/sa/web")), "announced as"),
        (answer(changed(spiffe_id="spiffe://example.org/ns/shop/../web")), "bad answer"),
        (answer(TWO_URIS), "announced as"),
        (answer(AUTHORITY.issue("/old", lifetime=dt.timedelta(seconds=-1))), "expired"),
        (answer(changed(key=b"")), "without field 3"),
        (answer(changed(bundle=b"")), "without field 4"),
        (answer(changed(chain=WEB.chain[:-1])), "bad answer"),
    ],
)
def test_what_cannot_serve_is_refused(message: bytes, reason: str) -> None:
    """Each fault is named."""
    with pytest.raises(SvidError, match=reason):
        parse_response(message, NOW)


@given(st.binary())
def test_rubbish_is_refused(data: bytes) -> None:
    """Any bytes: an SvidError and nothing else."""
    with pytest.raises(SvidError):
        parse_response(data, NOW)
