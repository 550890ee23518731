"""A packet capture between pods, put together to byte streams, and read as TLS records."""

import socket
import struct
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.mesh_under_test import MeshUnderTest

TLS_HANDSHAKE, SERVER_HELLO, SUPPORTED_VERSIONS, TLS_1_3 = 22, 2, 43, 0x0304
_RECORD_TYPES = {20, 21, 22, 23}
_FILE_HEADER, _PACKET_HEADER = 24, 16
_SYN = 0x02

Flow = tuple[str, int, str, int]


class Capture:
    """Records what passes between *hosts* while it is entered; read ``streams`` afterwards."""

    def __init__(self, mesh: MeshUnderTest, file: Path, *hosts: str) -> None:
        script = str(Path(__file__).with_name("sniffer.py"))
        self._command = mesh.in_node(sys.executable, script, str(file), *hosts)
        self._file = file
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "the capture did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.terminate()
        self._process.wait(10)
        self._process.stdout.close()

    def streams(self) -> dict[Flow, bytes]:
        """Return what each side of each connection sent: (source, port, destination, port) -> bytes."""
        segments: dict[Flow, dict[int, bytes]] = defaultdict(dict)
        starts: dict[Flow, int] = {}
        for packet in _packets(self._file.read_bytes()):
            flow, sequence, flags, payload = _tcp(packet)
            if flags & _SYN:
                starts[flow] = sequence + 1
            elif payload:
                # The same segment is seen on each interface that it crosses.
                segments[flow][sequence] = payload
        return {flow: _joined(starts[flow], segments[flow]) for flow in segments if flow in starts}


def _packets(data: bytes) -> Iterator[bytes]:
    position = _FILE_HEADER
    while position + _PACKET_HEADER <= len(data):
        (length,) = struct.unpack_from("<I", data, position + 8)
        position += _PACKET_HEADER
        packet = data[position : position + length]
        position += length
        if packet[9] == socket.IPPROTO_TCP and len(packet) == length:
            yield packet


def _tcp(packet: bytes) -> tuple[Flow, int, int, bytes]:
    header = (packet[0] & 0x0F) * 4
    (total,) = struct.unpack_from("!H", packet, 2)
    source, destination, sequence = struct.unpack_from("!HHI", packet, header)
    offset = header + (packet[header + 12] >> 4) * 4
    flow = (socket.inet_ntoa(packet[12:16]), source, socket.inet_ntoa(packet[16:20]), destination)
    return flow, sequence, packet[header + 13], packet[offset:total]


def _joined(start: int, segments: dict[int, bytes]) -> bytes:
    stream = bytearray()
    for sequence in sorted(segments, key=lambda number: (number - start) % 2**32):
        offset = (sequence - start) % 2**32
        assert offset <= len(stream), "the capture lost a packet"
        stream[offset:] = segments[sequence]
    return bytes(stream)


@dataclass(frozen=True, slots=True)
class Record:
    """A TLS record."""

    kind: int
    content: bytes


def records(stream: bytes) -> list[Record]:
    """Read *stream* as TLS records; AssertionError when anything in it is something else. A cut last one is left out."""
    found = []
    position = 0
    while position + 5 <= len(stream):
        kind, version, length = struct.unpack_from("!BHH", stream, position)
        assert kind in _RECORD_TYPES, f"no TLS record: {stream[position : position + 20]!r}"
        assert version >> 8 == 3, f"no TLS record: {stream[position : position + 20]!r}"
        found.append(Record(kind, stream[position + 5 : position + 5 + length]))
        position += 5 + length
    return found


def negotiated_version(server_stream: bytes) -> int:
    """Return the TLS version in the server's hello: its supported_versions extension (RFC 8446, section 4.2.1)."""
    first = records(server_stream)[0]
    assert first.kind == TLS_HANDSHAKE, first
    assert first.content[0] == SERVER_HELLO, first
    hello = first.content[4:]
    position = 2 + 32
    position += 1 + hello[position]  # session id
    position += 2 + 1  # cipher suite, compression
    end = position + 2 + struct.unpack_from("!H", hello, position)[0]
    position += 2
    while position + 4 <= end:
        kind, length = struct.unpack_from("!HH", hello, position)
        if kind == SUPPORTED_VERSIONS:
            version: int = struct.unpack_from("!H", hello, position + 4)[0]
            return version
        position += 4 + length
    return int(struct.unpack_from("!H", hello)[0])
