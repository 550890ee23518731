"""Steady traffic from a pod while a test changes something."""

import http.client
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from tests.nginx.sidecar import Client, wait_until


class Load:
    """What happened so far: successes and how long each took, and a line per failure."""

    def __init__(self, make_client: Callable[[], Client], threads: int, method: str) -> None:
        self._make_client = make_client
        self._method = method
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        self.done = 0
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self.by_server: dict[str, int] = {}

    def more(self, requests: int, within: float = 60.0) -> None:
        """Wait until so many more requests ended well."""
        target = self.done + requests
        wait_until(lambda: self.done >= target or self.failures, f"{requests} more requests", within)

    def reach(self, servers: Collection[str]) -> None:
        """Wait until each of *servers* has answered; a method that goes by times asks a slow one again only later."""
        wait_until(lambda: set(servers) <= set(self.by_server) or self.failures, f"an answer of each of {servers}")

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with self._make_client() as client:
            # A pause between requests: 200 requests/s in all, not as many as the machine can.
            while not self._stop.wait(0.01):
                self._once(client)

    def _once(self, client: Client) -> None:
        began = time.monotonic()
        try:
            response = client.request(self._method, "/load", b"x" if self._method == "POST" else None)
        except (OSError, http.client.HTTPException) as error:
            client.connection.close()
            self.failures.append(repr(error))
            return
        if response.status == 200:
            self.done += 1
            self.seconds.append(time.monotonic() - began)
            server = str(response.echo["local"])
            self.by_server[server] = self.by_server.get(server, 0) + 1
        else:
            self.failures.append(f"{response.status} {response.text[:200]}")


@contextmanager
def running(make_client: Callable[[], Client], threads: int = 4, method: str = "GET") -> Iterator[Load]:
    """Traffic for the length of the block; the caller looks at the failures."""
    load = Load(make_client, threads, method)
    load.start()
    try:
        yield load
    finally:
        load.stop()
