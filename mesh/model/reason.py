"""Why a sidecar refuses, as its access log, metrics and the header X-Mesh-Refused say it (contract 7.reasons)."""

from enum import StrEnum


class Reason(StrEnum):
    """A refusal by a traffic policy. Those of the sidecar itself stand in docs/reference/metrics.md."""

    ACCESS_NO_TARGET = "access_no_target"
    ACCESS_NO_RULE = "access_no_rule"
    ACCESS_PLAINTEXT = "access_plaintext"
    RATE_LIMITED = "rate_limited"
    CIRCUIT_OPEN = "circuit_open"


def reason_id(reason: str, policy: str = "") -> str:
    """Write the id of a refusal: ``<reason>``, or ``<reason>:<namespace/name>`` where a policy is to blame."""
    return f"{reason}:{policy}" if policy else reason
