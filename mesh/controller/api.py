"""The read-only HTTP API of port 8082, which meshctl asks through the API server (contract 10.version, 10.status)."""

import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from mesh.api import names
from mesh.api.version import VERSION
from mesh.controller.fleet import Fleet
from mesh.model.codec import Revision

SCHEMA = "nginx-mesh/status/v1"


class Api:
    """Shows what this replica knows; ``facts`` gives what changes from replica to replica."""

    def __init__(
        self, fleet: Fleet, revision_of: Callable[[str], Revision | None], facts: Callable[[], dict[str, Any]]
    ) -> None:
        self._fleet = fleet
        self._revision_of = revision_of
        self._facts = facts

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application()
        application.router.add_get("/version", self._version)
        application.router.add_get("/status", self._status)
        return application

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({names.CONTROLLER: [VERSION], names.SIDECAR: self._fleet.versions()})

    async def _status(self, _: web.Request) -> web.Response:
        synced, total = self._fleet.counts()
        sidecars = [
            {**state.row(), "wanted_revision": _text(self._revision_of(state.group))}
            for state in self._fleet.states(time.monotonic())
        ]
        return web.json_response(
            {
                "schema": SCHEMA,
                "version": VERSION,
                **self._facts(),
                "synced": synced,
                "total": total,
                "sidecars": sidecars,
            }
        )


def _text(revision: Revision | None) -> str:
    return "" if revision is None else str(revision)
