"""Requests that are sent when they are due, whoever is slow: fortio in a pod, and of each request when it was sent and how long it took.

A connection sends its next request when that is due, or when it has the answer to the one before: with many connections
no request waits for another one.
"""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.nginx.network import Pod
from tests.nginx.sidecar import wait_until

CONNECTIONS = 64


class Request(NamedTuple):
    """One request; *sent* in seconds since 1970."""

    sent: float
    seconds: float
    is_good: bool


class OpenLoop:
    """*rate* requests a second to *place*, an address with its port, until ``stop``."""

    def __init__(
        self, fortio: Path, pod: Pod, place: str, rate: int, log: Path, connections: int = CONNECTIONS
    ) -> None:
        self.rate = rate
        self.connections = connections
        self._log = log
        options = ["-quiet", "-loglevel", "error", "-json", "/dev/null", "-t", "0", "-uniform", "-qps", str(rate)]
        options += [
            "-c",
            str(connections),
            "-timeout",
            "30s",
            "-access-log-format",
            "json",
            "-access-log-file",
            str(log),
        ]
        command = ["ip", "netns", "exec", pod.namespace, str(fortio), "load", *options, f"http://{place}/"]
        with log.with_suffix(".log").open("wb") as said:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        self._requests: list[Request] = []

    def begin(self) -> None:
        """Wait until every connection has had its first answer."""
        wait_until(lambda: self._lines() > 2 * self.connections or self._process.poll() is not None, "requests", 60)
        assert self._process.poll() is None, self._log.with_suffix(".log").read_text()[-2000:]

    def _lines(self) -> int:
        return self._log.read_bytes().count(b"\n") if self._log.exists() else 0

    def stop(self) -> None:
        """Let the last answers come."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._process.wait(60)

    @property
    def requests(self) -> list[Request]:
        """All of them, once the load has ended."""
        assert self._process.returncode is not None
        if not self._requests:
            rows = map(json.loads, self._log.read_text().splitlines())
            self._requests = sorted(Request(row["timestamp"] / 1e9, row["latency"], row["ok"]) for row in rows)
        return self._requests

    @property
    def failed(self) -> int:
        """How many had no answer, or not the application's."""
        return sum(not request.is_good for request in self.requests)

    @property
    def late(self) -> int:
        """How many took so long that their connection's next one was not sent when it was due."""
        return sum(request.seconds > self.connections / self.rate for request in self.requests)

    @property
    def achieved(self) -> float:
        """Requests a second."""
        return len(self.requests) / (self.requests[-1].sent - self.requests[0].sent)


@contextmanager
def running(
    fortio: Path, pod: Pod, place: str, rate: int, directory: Path, connections: int = CONNECTIONS
) -> Iterator[OpenLoop]:
    """A load for the length of the block; what came of it is read after the block."""
    load = OpenLoop(fortio, pod, place, rate, directory / f"requests-{time.monotonic_ns()}.json", connections)
    try:
        load.begin()
        yield load
    finally:
        load.stop()
