"""SPIFFE identities as values (SPIFFE ID standard, sections 2.1 to 2.4; contract 3.identity)."""

import re
from dataclasses import dataclass

from mesh.api.errors import InvalidInputError, Problem, quote

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_SCHEME = "spiffe://"
MAX_LENGTH = 2048


@dataclass(frozen=True, slots=True)
class SpiffeId:
    """A SPIFFE ID; ``path`` starts with a slash, or is empty for the trust domain itself."""

    trust_domain: str
    path: str

    def __str__(self) -> str:
        return f"{_SCHEME}{self.trust_domain}{self.path}"


def is_trust_domain(text: str) -> bool:
    """Whether *text* is a trust domain name: lower case letters, digits, dots, dashes, underscores."""
    return _TRUST_DOMAIN.fullmatch(text) is not None


def parse_spiffe_id(text: str) -> SpiffeId:
    """Read a SPIFFE ID exactly; nothing is normalised, so ``..`` and empty segments are refused.

    Raises InvalidInputError.
    """
    takes = "spiffe://<trust domain>/<path> without empty, '.' or '..' segments, query or fragment"
    problem = InvalidInputError([Problem("SPIFFE ID", quote(text), takes)])
    if not text.startswith(_SCHEME) or len(text) > MAX_LENGTH:
        raise problem
    trust_domain, slash, rest = text[len(_SCHEME) :].partition("/")
    if not is_trust_domain(trust_domain):
        raise problem
    if slash and not all(_SEGMENT.fullmatch(part) and part not in {".", ".."} for part in rest.split("/")):
        raise problem
    return SpiffeId(trust_domain, slash + rest)


def workload_identity(trust_domain: str, namespace: str, service_account: str) -> SpiffeId:
    """Identity of every pod that runs as *service_account* (contract 3.identity)."""
    return SpiffeId(trust_domain, f"/ns/{namespace}/sa/{service_account}")
