"""One TCP stream as fast as it goes: ``sink PORT`` swallows, ``source ADDRESS PORT SECONDS`` sends and prints JSON.

The sink answers the end of a stream with the number of bytes that it got. Needs nothing but the standard library.
"""

import json
import socket
import sys
import threading
import time

CHUNK_BYTES = 256 * 1024
COUNT_BYTES = 8
END_SECONDS = 20.0


def sink(port: int) -> None:
    """Serve for ever."""
    with socket.create_server(("0.0.0.0", port), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_swallow, args=(connection,), daemon=True).start()


def _swallow(connection: socket.socket) -> None:
    with connection:
        buffer = bytearray(CHUNK_BYTES)
        total = 0
        try:
            while count := connection.recv_into(buffer):
                total += count
            connection.sendall(total.to_bytes(COUNT_BYTES, "big"))
        except OSError:
            return  # The sender sees it: its answer is missing.


def source(address: str, port: int, seconds: float) -> dict[str, float]:
    """Send for *seconds*, then wait for the count. The time is that until the last byte has arrived."""
    chunk = bytes(CHUNK_BYTES)
    sent = 0
    with socket.create_connection((address, port), END_SECONDS) as connection:
        start = time.monotonic()
        end = start + seconds
        while time.monotonic() < end:
            connection.sendall(chunk)
            sent += len(chunk)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while len(answer) < COUNT_BYTES and (more := connection.recv(COUNT_BYTES)):
            answer += more
        return {"sent": sent, "received": int.from_bytes(answer, "big"), "seconds": time.monotonic() - start}


if __name__ == "__main__":
    if sys.argv[1] == "sink":
        sink(int(sys.argv[2]))
    else:
        print(json.dumps(source(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))))
