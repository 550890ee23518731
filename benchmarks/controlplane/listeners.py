"""Simulated sidecars in a process of their own, so that what they cost is not counted as the controller's time.

Each is an agent's judgement and use of the bus on a TLS connection of its own, with an NGINX that takes everything.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

from mesh.model.sidecar_config import SidecarConfig
from mesh.sidecar import step
from tests.fakes.authority import Authority
from tests.fakes.nats_server import SIDECAR_NAME
from tests.fakes.subscriber import Subscriber

# Fork: the authority's keys go along. It is done before anything else of this process has threads or a loop.
_PROCESSES = multiprocessing.get_context("fork")


class Place(NamedTuple):
    """Where to listen: the bus, the name in its certificate, and (group, pod) of each sidecar."""

    url: str
    host: str
    sidecars: Sequence[tuple[str, str]]


class View(NamedTuple):
    """What a sidecar routes calls of Service web by since ``at``, on the clock that all processes share."""

    at: float
    pod: str
    endpoints: frozenset[str]
    weights: tuple[int, ...]


@contextmanager
def waiting(authority: Authority) -> Iterator[Connection]:
    """A process that waits for a Place on the connection, and then sends a View for every configuration applied."""
    ours, theirs = _PROCESSES.Pipe()
    process = _PROCESSES.Process(target=_listen, args=(authority, theirs), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()


def _listen(authority: Authority, connection: Connection) -> None:
    asyncio.run(_hold(authority, connection, connection.recv()))


async def _hold(authority: Authority, connection: Connection, place: Place) -> None:
    identity = authority.issue("/ns/shop/sa/web", ("web-0", SIDECAR_NAME))

    def note(state: step.State) -> None:
        if state.config is not None:
            connection.send(_view(state.pod, state.config))

    async with AsyncExitStack() as stack:
        for group, pod in place.sidecars:
            await stack.enter_async_context(Subscriber(group, pod, note).connected(place.url, identity, place.host))
        await asyncio.Event().wait()


def _view(pod: str, config: SidecarConfig) -> View:
    web = [service for service in config.services if service.service == "web"]
    endpoints = frozenset(endpoint.address for service in web for endpoint in service.endpoints)
    weights = tuple(share.weight for service in web for split in service.splits for share in split.shares)
    return View(time.monotonic(), pod, endpoints, weights)
