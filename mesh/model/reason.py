"""Why a sidecar refuses, as its access log, metrics and the header X-Mesh-Refused say it (contract 7.reasons)."""

from enum import StrEnum


class Reason(StrEnum):
    """Words for a refusal; docs/reference/metrics.md says what each means."""

    NO_CONFIGURATION = "no_configuration"
    NOT_REDIRECTED = "not_redirected"
    SIDECAR_PORT = "sidecar_port"
    PLAINTEXT = "plaintext"
    NO_IDENTITY = "no_identity"
    UNDECLARED_PORT = "undeclared_port"
    MALFORMED = "malformed"
    TOO_MANY_HEADERS = "too_many_headers"
    BODY_TOO_LARGE = "body_too_large"
    UNKNOWN_DESTINATION = "unknown_destination"
    PLAINTEXT_ENDPOINT = "plaintext_endpoint"
    NO_ENDPOINT = "no_endpoint"
    NO_SVID = "no_svid"
    ACCESS_NO_TARGET = "access_no_target"
    ACCESS_NO_RULE = "access_no_rule"
    ACCESS_PLAINTEXT = "access_plaintext"
    RATE_LIMITED = "rate_limited"
    CIRCUIT_OPEN = "circuit_open"


def reason_id(reason: str, policy: str = "") -> str:
    """Write the id of a refusal: ``<reason>``, or ``<reason>:<namespace/name>`` where a policy is to blame."""
    return f"{reason}:{policy}" if policy else reason
