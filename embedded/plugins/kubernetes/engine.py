"""Messages to the person at the terminal, through the engine: progress beside a resource, warnings below it."""

import threading

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from embedded.plugins import serving


class Engine:
    """The engine's log. A message that cannot be delivered is dropped: it must never fail an update."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._stub: engine_pb2_grpc.EngineStub | None = None
        self._told: dict[str, str] = {}

    def reconnect(self, address: str) -> None:
        with self._lock:
            self._address, self._stub = address, None

    def progress(self, urn: str, text: str) -> None:
        """Show what a resource waits for; the same text twice is sent once."""
        with self._lock:
            if self._told.get(urn) == text:
                return
            self._told[urn] = text
        self._send(urn, text, engine_pb2.INFO, ephemeral=True)

    def done(self, urn: str) -> None:
        """Clear the progress text, if there was any."""
        with self._lock:
            shown = self._told.pop(urn, "")
        if shown:
            self._send(urn, "", engine_pb2.INFO, ephemeral=True)

    def warn(self, urn: str, text: str) -> None:
        self._send(urn, text, engine_pb2.WARNING, ephemeral=False)

    def _send(self, urn: str, text: str, severity: "engine_pb2.LogSeverity.ValueType", *, ephemeral: bool) -> None:
        with self._lock:
            if not self._address:
                return
            if self._stub is None:
                self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(self._address, options=serving.OPTIONS))
            stub = self._stub
        try:
            request = engine_pb2.LogRequest(severity=severity, message=text, urn=urn, ephemeral=ephemeral)
            stub.Log(request, timeout=5)
        except grpc.RpcError:
            return
