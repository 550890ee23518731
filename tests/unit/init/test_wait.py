"""The SPIRE agent's init container waits for the server, and no longer (contract 2.spire-agent)."""

import socket
import threading
from contextlib import closing

import pytest

from mesh.init import wait


def test_a_server_that_listens_ends_the_wait_at_once() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        assert wait.until_connected(f"127.0.0.1:{server.getsockname()[1]}", 5)


@pytest.mark.spec("2.spire-agent")
def test_a_server_that_listens_later_is_found() -> None:
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        found: list[bool] = []
        address = f"127.0.0.1:{server.getsockname()[1]}"
        waiting = threading.Thread(target=lambda: found.append(wait.until_connected(address, 30)))
        waiting.start()
        server.listen()
        waiting.join(30)
        assert found == [True]


def test_without_a_server_it_gives_up() -> None:
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        assert not wait.until_connected(f"127.0.0.1:{server.getsockname()[1]}", 0.1)


@pytest.mark.parametrize("address", ["", "host", "host:", ":80", "host:http"])
def test_an_address_needs_host_and_port(address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        wait.until_connected(address, 1)
