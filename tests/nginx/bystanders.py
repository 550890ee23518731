"""Callers who want nothing but their answers, while something else goes on at a sidecar."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.nginx.sidecar import Client, wait_until

PATH = "/other"
PAUSE_SECONDS = 0.02


class Bystanders:
    """One keep-alive connection each, with a request after the other; what goes wrong is kept as text."""

    def __init__(self, callers: list[Client]) -> None:
        self.failures: list[str] = []
        self._answered = [0] * len(callers)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=item) for item in enumerate(callers)]

    def _ask(self, number: int, client: Client) -> None:
        first = None
        while not self._stop.wait(PAUSE_SECONDS):
            try:
                status = client.request("GET", PATH).status
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"caller {number}: {error!r}")
                return
            first = first or client.connection.sock
            if status != 200 or client.connection.sock is not first:
                self.failures.append(f"caller {number}: status {status}, or another connection")
                return
            self._answered[number] += 1

    def count(self) -> int:
        """Answers that the least served of them has had."""
        return min(self._answered)

    def more(self, count: int = 3) -> None:
        """Wait until each has had so many more."""
        target = self.count() + count
        wait_until(lambda: self.failures or self.count() >= target, f"{count} more answers to each bystander", 60)
        assert self.failures == []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def served(*make: Callable[[], Client]) -> Iterator[Bystanders]:
    """They are served before, during and after the block, on their first connections."""
    callers = [client() for client in make]
    bystanders = Bystanders(callers)
    bystanders.start()
    try:
        bystanders.more()
        yield bystanders
        bystanders.more()
    finally:
        bystanders.stop()
        for caller in callers:
            caller.connection.close()
    assert bystanders.failures == []
