"""What the id of a refusal means, and which object is behind it (contract 7.reasons)."""

from dataclasses import dataclass
from typing import Final

from mesh.api.circuit_breaker import CIRCUIT_BREAKER
from mesh.api.rate_limit import RATE_LIMIT
from mesh.api.traffic_target import TRAFFIC_TARGET
from mesh.model.reason import Reason


@dataclass(frozen=True, slots=True)
class Meaning:
    """``side``: whose sidecar refuses. ``kind``: that of the policy which an id may name. ``remedy`` is what to do."""

    side: str
    text: str
    remedy: str
    kind: str = ""


_CALLER: Final = "the caller's"
_CALLED: Final = "the called pod's"
_EITHER: Final = "either"

MEANINGS: Final = {
    Reason.NO_CONFIGURATION: Meaning(_EITHER, "the sidecar has no configuration yet", "meshctl check"),
    Reason.NOT_REDIRECTED: Meaning(_EITHER, "somebody called a port of the sidecar itself", "call the Service"),
    Reason.SIDECAR_PORT: Meaning(_EITHER, "the destination is a port of a sidecar", "call a port of the application"),
    Reason.PLAINTEXT: Meaning(
        _CALLED, "plaintext where the mTLS mode is strict", "give the caller a sidecar, or set the mode to permissive"
    ),
    Reason.NO_IDENTITY: Meaning(_CALLED, "TLS without an identity that could be verified", "meshctl check"),
    Reason.UNDECLARED_PORT: Meaning(
        _CALLED, "no Service and no container declares the port", "declare it in a Service or in the pod"
    ),
    Reason.MALFORMED: Meaning(_CALLED, "the request is malformed", "repair the client"),
    Reason.TOO_MANY_HEADERS: Meaning(_CALLED, "more than 100 headers", "send fewer"),
    Reason.BODY_TOO_LARGE: Meaning(
        _CALLED, "the body is over the limit", "raise clientMaxBodySize, or config.nsm.nginx.com/client-max-body-size"
    ),
    Reason.UNKNOWN_DESTINATION: Meaning(
        _CALLER, "the destination is nothing of the mesh, and the mTLS mode is strict", "see egress-scope and injection"
    ),
    Reason.PLAINTEXT_ENDPOINT: Meaning(
        _CALLER, "no endpoint proves an identity, and the mTLS mode is strict", "give the endpoints a sidecar"
    ),
    Reason.NO_ENDPOINT: Meaning(_CALLER, "the Service has no endpoint that is ready", "kubectl get endpointslices"),
    Reason.NO_SVID: Meaning(_CALLER, "the sidecar has no certificate yet", "meshctl check"),
    Reason.ACCESS_NO_TARGET: Meaning(
        _CALLED, "no TrafficTarget names the caller's identity for this port", "add its service account to the sources of one"
    ),
    Reason.ACCESS_NO_RULE: Meaning(
        _CALLED, "TrafficTargets name the caller, and none of their rules fits the request", "add a rule that fits",
        TRAFFIC_TARGET.kind,
    ),
    Reason.ACCESS_PLAINTEXT: Meaning(
        _CALLED, "access is controlled, and the caller proves no identity", "give the caller a sidecar"
    ),
    Reason.RATE_LIMITED: Meaning(
        _CALLED, "the caller is faster than its share of a RateLimit", "raise rate or burst, or call more slowly", RATE_LIMIT.kind
    ),
    Reason.CIRCUIT_OPEN: Meaning(
        _CALLER, "the Service failed so often that its circuit is open", "repair the Service, or give a fallback",
        CIRCUIT_BREAKER.kind,
    ),
}  # fmt: skip


def read_reason(text: str) -> tuple[Reason, str]:
    """Split the id of a refusal in its word and the policy, empty without one. Raises ValueError for an unknown word."""
    word, _, policy = text.partition(":")
    if word not in set(Reason):
        raise ValueError(f'"{word}" is no reason of a refusal; there are: {", ".join(Reason)}')
    return Reason(word), policy
