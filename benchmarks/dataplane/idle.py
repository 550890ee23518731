"""What an idle connection holds in both proxies: ``python idle.py ADDRESS PORT COUNT`` opens them, after a request on each.

The program needs nothing but the standard library; it says ``ready`` and ends with its standard input.
"""

import resource
import socket
import sys

TIMEOUT_SECONDS = 20.0


def open_connections(address: str, port: int, count: int) -> list[socket.socket]:
    """*count* connections that have got one answer each. Raises OSError, ConnectionError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 64)), hard))
    found: list[socket.socket] = []
    for _ in range(count):
        connection = socket.create_connection((address, port), TIMEOUT_SECONDS)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % address.encode())
        answer = b""
        # The application's body is one line of x, and nothing else ends so.
        while not answer.endswith(b"x" * 64):
            more = connection.recv(65536)
            if not more:
                raise ConnectionError(f"connection {len(found) + 1} was closed after {answer[:64]!r}")
            answer += more
        found.append(connection)
    return found


if __name__ == "__main__":
    kept = open_connections(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    print("ready", flush=True)
    sys.stdin.read()
