"""List, then watch, for ever: the only place that knows how a watch can fail (design 8).

A watch goes on where the last one stopped. When the API server has forgotten that place (410), everything is listed
again, and what is gone meanwhile is missing from the new list. A connection on which nothing comes, not even a
bookmark, is half open: it is left and made anew. Nobody downstream sees any of this but as a new list.
"""

import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from mesh.kit.backoff import Backoff
from mesh.kube import objects
from mesh.kube.client import JSON, ApiError, Client
from mesh.kube.kinds import Kind

log = logging.getLogger(__name__)

Wire = TypeVar("Wire")
Value = TypeVar("Value")

PAGE_SIZE: Final = 500
# The API server ends a watch after this long, so that load spreads over its replicas again.
WATCH_SECONDS: Final = (240, 300)
# Bookmarks come about every minute.
SILENCE_SECONDS: Final = 90.0
NOT_FOUND: Final = 404
GONE: Final = 410


class Key(NamedTuple):
    """Name of an object within its kind."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Listed(Generic[Value]):
    """Everything that there is; what is not among it is no more."""

    items: Mapping[Key, Value]


@dataclass(frozen=True, slots=True)
class Changed(Generic[Value]):
    """One object, new or different; None when it is gone, or does not matter any more."""

    key: Key
    value: Value | None


Event = Listed[Value] | Changed[Value]


def converted(event: Event[Wire], convert: Callable[[Wire], Value | None]) -> Event[Value]:
    """The same event about what *convert* makes of each object: for those who read one watch differently."""
    if isinstance(event, Listed):
        rows = ((key, convert(value)) for key, value in event.items.items())
        return Listed({key: value for key, value in rows if value is not None})
    return Changed(event.key, None if event.value is None else convert(event.value))


class _Expired(Exception):
    """The place where the watch should go on is forgotten: list again."""


async def watch(
    client: Client,
    kind: Kind[Wire, Value],
    namespace: str = "",
    name: str = "",
    labels: str = "",
    silence_seconds: float = SILENCE_SECONDS,
    backoff: Backoff | None = None,
) -> AsyncIterator[Event[Value]]:
    """Follow all objects of *kind*, or those of one *namespace*, *name* or label selector; never ends, never raises.

    The first event is a list. Of a kind that ``may_be_absent`` it is empty where the API server does not know the kind; once
    there was a real list, a server that has lost the kind changes nothing.
    """
    waits = backoff or Backoff(0.2, 10.0)
    selectors = {
        key: value
        for key, value in (("fieldSelector", name and f"metadata.name={name}"), ("labelSelector", labels))
        if value
    }
    follower = _Follower(client, kind, kind.path(namespace), selectors, silence_seconds)
    has_list = False
    while True:
        try:
            async for event in follower.follow():
                waits.reset()
                has_list = True
                yield event
        except _Expired:
            follower.forget()
            log.info("watch expired", extra={"kind": kind.kind})
        except (ApiError, msgspec.MsgspecError) as error:
            if kind.may_be_absent and not has_list and isinstance(error, ApiError) and error.status == NOT_FOUND:
                yield Listed({})
            log.warning("watch failed", extra={"kind": kind.kind, "reason": str(error)})
            await waits.wait()


class _Follower(Generic[Wire, Value]):
    """Knows how far the watch has come."""

    def __init__(
        self, client: Client, kind: Kind[Wire, Value], path: str, selectors: Mapping[str, str], silence_seconds: float
    ) -> None:
        self._client = client
        self._kind = kind
        self._path = path
        self._selectors = selectors
        self._silence_seconds = silence_seconds
        page_type: Any = objects.Page[kind.wire]  # type: ignore[name-defined]
        self._pages: msgspec.json.Decoder[objects.Page[Wire]] = msgspec.json.Decoder(page_type)
        self._objects: msgspec.json.Decoder[Wire] = msgspec.json.Decoder(kind.wire)
        self._events = msgspec.json.Decoder(objects.WatchEvent)
        self._bookmarks = msgspec.json.Decoder(objects.Bookmark)
        self._statuses = msgspec.json.Decoder(objects.Status)
        self._version = ""

    def forget(self) -> None:
        """Begin with a list the next time."""
        self._version = ""

    async def follow(self) -> AsyncIterator[Event[Value]]:
        """List if need be, then give what one watch gives."""
        if not self._version:
            items, version = await self._list()
            yield Listed(items)
            self._version = version
        query = {
            **self._selectors,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(random.randint(*WATCH_SECONDS)),  # noqa: S311 - spreads load, hides nothing
        }
        try:
            accept = _accept(self._kind, "PartialObjectMetadata")
            async with self._client.stream(self._path, query, self._silence_seconds, accept) as lines:
                async for line in lines:
                    event = self._read(line)
                    if event is not None:
                        yield event
        except ApiError as error:
            if error.status == GONE:
                raise _Expired from error
            raise

    async def _list(self) -> tuple[dict[Key, Value], str]:
        items: dict[Key, Value] = {}
        query = {**self._selectors, "limit": str(PAGE_SIZE)}
        accept = _accept(self._kind, "PartialObjectMetadataList")
        while True:
            try:
                page = self._pages.decode(await self._client.get(self._path, query, accept))
            except ApiError as error:
                if error.status == GONE:  # The list changed too much between two pages.
                    raise _Expired from error
                raise
            for wire in page.items or []:
                value = self._kind.convert(wire)
                if value is not None:
                    items[_key(wire)] = value
            if not page.metadata.continue_:
                return items, page.metadata.resource_version
            query["continue"] = page.metadata.continue_

    def _read(self, line: bytes) -> Changed[Value] | None:
        event = self._events.decode(line)
        if event.type == "ERROR":
            status = self._statuses.decode(event.object)
            if status.code == GONE:
                raise _Expired
            raise ApiError(status.code, status.message)
        if event.type == "BOOKMARK":
            self._version = self._bookmarks.decode(event.object).metadata.resource_version
            return None
        wire = self._objects.decode(event.object)
        self._version = _meta(wire).resource_version
        return Changed(_key(wire), None if event.type == "DELETED" else self._kind.convert(wire))


def _accept(kind: Kind[Wire, Value], form: str) -> str:
    """What to ask for: whole objects, or their metadata where the server can cut them down."""
    return f"{JSON};as={form};g=meta.k8s.io;v=v1,{JSON}" if kind.metadata_only else JSON


def _meta(wire: object) -> objects.Meta:
    meta: objects.Meta = wire.metadata  # type: ignore[attr-defined]
    return meta


def _key(wire: object) -> Key:
    meta = _meta(wire)
    return Key(meta.namespace, meta.name)
