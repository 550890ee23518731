"""TLS 1.3 records written by hand (RFC 8446, 5), behind OpenSSL's handshake: a peer that can do what OpenSSL never does.

The keys come from the key log of Python's ssl module. Nothing here is shared with the module's own record layer.
"""

import socket
import ssl
import struct
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests.fakes.authority import Issued
from tests.nginx.test_mutual_tls import load

ALERT, HANDSHAKE, DATA = 21, 22, 23
CLOSE_NOTIFY = bytes([1, 0])
_KEY_UPDATE = 24


@dataclass
class _Key:
    algorithm: hashes.HashAlgorithm
    size: int
    secret: bytes
    sequence: int = 0
    cipher: AESGCM = field(init=False)
    iv: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.cipher = AESGCM(self._expand(b"key", self.size))
        self.iv = self._expand(b"iv", 12)

    def _expand(self, label: bytes, size: int) -> bytes:
        label = b"tls13 " + label
        info = struct.pack("!HB", size, len(label)) + label + b"\0"
        return HKDFExpand(self.algorithm, size, info).derive(self.secret)

    def nonce(self) -> bytes:
        sequence = self.sequence.to_bytes(12, "big")
        self.sequence += 1
        return bytes(a ^ b for a, b in zip(self.iv, sequence, strict=True))

    def next(self) -> "_Key":
        return _Key(self.algorithm, self.size, self._expand(b"traffic upd", self.algorithm.digest_size))


class Records:
    """A connection after its handshake. Reading ends with EOFError, ConnectionResetError or TimeoutError."""

    def __init__(self, raw: socket.socket, issued: Issued, *, server_side: bool = False, alpn: str = "") -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
        load(context, issued)
        context.set_alpn_protocols(["nsm/1", *alpn.split()])
        if server_side:
            # Else tickets have the first sequence numbers.
            context.num_tickets = 0
            # The client's first choice, which differs from Python's: both ciphers are seen.
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        with tempfile.TemporaryDirectory() as place:
            log = Path(place) / "keys"
            context.keylog_filename = str(log)
            timeout = raw.gettimeout()
            secure = context.wrap_socket(raw, server_side=server_side)
            words = [line.split() for line in log.read_text().splitlines() if not line.startswith("#")]
        self.secrets = {label: bytes.fromhex(secret) for label, _, secret in words}
        cipher = secure.cipher()
        assert cipher is not None
        self.cipher = cipher[0]
        self.raw = socket.socket(fileno=secure.detach())
        self.raw.settimeout(timeout)
        algorithm, size = (hashes.SHA384(), 32) if "SHA384" in self.cipher else (hashes.SHA256(), 16)
        of_client, of_server = (self.secrets[f"{name}_TRAFFIC_SECRET_0"] for name in ("CLIENT", "SERVER"))
        ours, theirs = (of_server, of_client) if server_side else (of_client, of_server)
        self._out, self._in = _Key(algorithm, size, ours), _Key(algorithm, size, theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.raw.close()

    def seal(self, content: bytes, kind: int = DATA, padding: int = 0) -> bytes:
        """One record."""
        inner = content + bytes([kind]) + bytes(padding)
        header = struct.pack("!BHH", DATA, 0x0303, len(inner) + 16)
        return header + self._out.cipher.encrypt(self._out.nonce(), inner, header)

    def send(self, content: bytes, kind: int = DATA, padding: int = 0) -> None:
        """Write one record."""
        self.raw.sendall(self.seal(content, kind, padding))

    def update(self, *, wants_answer: bool) -> bytes:
        """A record with a KeyUpdate; what is sealed afterwards has the new key."""
        record = self.seal(bytes([_KEY_UPDATE, 0, 0, 1, wants_answer]), HANDSHAKE)
        self._out = self._out.next()
        return record

    def receive(self) -> tuple[int, bytes]:
        """The next record's kind and content; a KeyUpdate changes the key for what follows."""
        header = self._exactly(5)
        body = self._exactly(int.from_bytes(header[3:], "big"))
        inner = self._in.cipher.decrypt(self._in.nonce(), body, header).rstrip(b"\0")
        kind, content = inner[-1], inner[:-1]
        if kind == HANDSHAKE and content[0] == _KEY_UPDATE:
            self._in = self._in.next()
        return kind, content

    def receive_data(self, size: int) -> bytes:
        """So many bytes of data, and nothing but data."""
        data = bytearray()
        while len(data) < size:
            kind, content = self.receive()
            assert kind == DATA, (kind, content)
            data += content
        return bytes(data)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.raw.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data
