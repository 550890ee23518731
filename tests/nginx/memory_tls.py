"""TLS by OpenSSL whose bytes a test sends itself, so that it decides what goes in one packet."""

import socket
import ssl


def shake_hands(raw: socket.socket, context: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    """A client's handshake but for its last flight: the client, what it reads, and what is to be sent, which begins with that flight."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = context.wrap_bio(incoming, outgoing)
    while True:
        try:
            peer.do_handshake()
            return peer, incoming, outgoing
        except ssl.SSLWantReadError:
            raw.sendall(outgoing.read())
            incoming.write(raw.recv(65536))
