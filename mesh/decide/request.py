"""A request, or a connection, as policies see it."""

from dataclasses import dataclass
from typing import Final

from mesh.decide.path import normalised_path
from mesh.model.sidecar_config import Protocol

OURS: Final = frozenset({"x-mesh-peer-identity", "x-forwarded-client-cert"})
"""Headers that the mesh alone may say; for a match they are not there, because anybody could send them."""


@dataclass(frozen=True, slots=True)
class Request:
    """What one caller asks of one port.

    ``identity`` is the proven SPIFFE ID and ``pod`` the ``namespace/name`` of the caller, empty for plaintext.
    ``method``, ``target`` and ``headers`` (name, value) are as on the wire; a tcp port has none of them.
    """

    port: int
    protocol: Protocol = Protocol.HTTP
    identity: str = ""
    pod: str = ""
    method: str = "GET"
    target: bytes = b"/"
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def path(self) -> bytes:
        """The normalised path. Raises BadTargetError."""
        return normalised_path(self.target)

    @property
    def is_http(self) -> bool:
        """Whether it has a method, a path and headers."""
        return self.protocol in {Protocol.HTTP, Protocol.GRPC}

    def header(self, name: str) -> bytes | None:
        """Values of a header, joined; None when it is not there. *name* is in lower case."""
        values = [value for key, value in self.headers if key.lower() == name]
        return b", ".join(values) if values and name not in OURS else None
