"""Which protocol a port speaks (contract 6.protocol)."""

import pytest

from mesh.compiler.protocol import protocol_of
from mesh.model.sidecar_config import Protocol


@pytest.mark.spec("6.protocol")
@pytest.mark.parametrize(
    ("transport", "name", "app_protocol", "port", "expected"),
    [
        ("TCP", "http", "", 8080, "http"),
        ("TCP", "http-web", "", 8080, "http"),
        ("TCP", "grpc-api", "http", 80, "grpc"),
        ("TCP", "tcp", "http", 80, "tcp"),
        ("TCP", "tcp-raw", "", 80, "tcp"),
        ("TCP", "web", "http", 8080, "http"),
        ("TCP", "web", "HTTP", 8080, "http"),
        ("TCP", "web", "grpc", 8080, "grpc"),
        ("TCP", "web", "kubernetes.io/h2c", 8080, "grpc"),
        ("TCP", "web", "kubernetes.io/ws", 8080, "http"),
        ("TCP", "web", "kubernetes.io/wss", 80, "tcp"),
        ("TCP", "web", "https", 80, "tcp"),
        ("TCP", "web", "mysql", 80, "http"),
        ("TCP", "web", "", 80, "http"),
        ("TCP", "https", "", 443, "tcp"),
        ("TCP", "httpx", "", 8080, "tcp"),
        ("TCP", "", "", 80, "http"),
        ("TCP", "", "", 8080, "tcp"),
        ("UDP", "http", "http", 80, "udp"),
        ("UDP", "", "", 53, "udp"),
    ],
)
def test_order_of_rules(transport: str, name: str, app_protocol: str, port: int, expected: str) -> None:
    """Transport, then the name's prefix, then appProtocol, then port 80, then tcp."""
    assert protocol_of(transport, name, app_protocol, port) is Protocol(expected)
