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
    return protocol_and_ground(transport, name, app_protocol, port)[0]


def protocol_and_ground(transport: str, name: str, app_protocol: str, port: int) -> tuple[Protocol, str]:
    """As ``protocol_of``, and what tells it, for people."""
    if transport == "UDP":
        return Protocol.UDP, "its transport is UDP"
    by_name = _BY_NAME.get(name.partition("-")[0])
    if by_name is not None:
        return by_name, f"its name is {name}"
    by_app_protocol = _BY_APP_PROTOCOL.get(app_protocol.lower())
    if by_app_protocol is not None:
        return by_app_protocol, f"its appProtocol is {app_protocol}"
    if port == _HTTP_PORT:
        return Protocol.HTTP, "it is port 80"
    return Protocol.TCP, "neither its name, its appProtocol nor its number says another one"
