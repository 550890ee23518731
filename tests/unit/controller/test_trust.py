"""Which copies of the trust bundle are wrong (contract 3.ca-bundles)."""

import pytest

from mesh.controller import trust
from mesh.kube.objects import (
    ApiServiceObject,
    ApiServiceSpecObject,
    ClientConfigObject,
    Meta,
    WebhookConfigurationObject,
    WebhookObject,
)

ONE = b"-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"
TWO = b"-----BEGIN CERTIFICATE-----\nAwQF\n-----END CERTIFICATE-----\n"


@pytest.mark.spec("3.ca-bundles")
def test_bundles_are_compared_by_their_certificates() -> None:
    """Order, comments and line breaks are no difference; what is no certificate does not count."""
    assert trust.certificates(ONE + TWO) == trust.certificates(b"# roots\n" + TWO + ONE.replace(b"\n", b"\r\n"))
    assert trust.certificates(ONE) != trust.certificates(TWO)
    assert trust.certificates(b"") == trust.certificates(b"nonsense") == frozenset()


def configuration(*bundles: str) -> WebhookConfigurationObject:
    entries = [WebhookObject(f"w{n}", ClientConfigObject(bundle)) for n, bundle in enumerate(bundles)]
    return WebhookConfigurationObject(Meta("x"), entries)


@pytest.mark.spec("3.ca-bundles")
def test_a_webhook_with_one_wrong_entry_is_written_whole() -> None:
    """Our field manager owns the caBundle of every entry."""
    assert trust.webhook_fields(configuration("good", "good"), "good") is None
    assert trust.webhook_fields(configuration("good", ""), "good") == {
        "webhooks": [
            {"name": "w0", "clientConfig": {"caBundle": "good"}},
            {"name": "w1", "clientConfig": {"caBundle": "good"}},
        ]
    }


@pytest.mark.spec("3.ca-bundles")
def test_an_api_service_is_written_when_it_differs() -> None:
    """One field."""
    wire = ApiServiceObject(Meta("x"), ApiServiceSpecObject("old"))
    assert trust.api_service_fields(wire, "old") is None
    assert trust.api_service_fields(wire, "new") == {"spec": {"caBundle": "new"}}
