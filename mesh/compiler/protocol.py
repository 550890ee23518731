"""Which protocol a port speaks (contract 6.protocol)."""

from typing import Final

from mesh.model.sidecar_config import Protocol

_BY_NAME: Final = {"http": Protocol.HTTP, "grpc": Protocol.GRPC, "tcp": Protocol.TCP}
_BY_APP_PROTOCOL: Final = {
    "http": Protocol.HTTP,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.TCP,
    "kubernetes.io/h2c": Protocol.GRPC,
    "grpc": Protocol.GRPC,
    "tcp": Protocol.TCP,
    "https": Protocol.TCP,
}
_HTTP_PORT: Final = 80


def protocol_of(transport: str, name: str, app_protocol: str, port: int) -> Protocol:
    """Tell a port's protocol from its transport, else its name up to the first dash, its appProtocol, its number."""
    if transport == "UDP":
        return Protocol.UDP
    by_name = _BY_NAME.get(name.partition("-")[0])
    if by_name is not None:
        return by_name
    by_app_protocol = _BY_APP_PROTOCOL.get(app_protocol.lower())
    if by_app_protocol is not None:
        return by_app_protocol
    return Protocol.HTTP if port == _HTTP_PORT else Protocol.TCP
