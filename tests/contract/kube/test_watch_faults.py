"""What an API server seldom does, done by one that is written for it (design 8: 410, half-open, rubbish).

The server speaks HTTP for real; each request is answered by the next step of a script.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from mesh.kube import kinds
from mesh.kube.client import Client
from tests.contract.kube.follow import following, lists, state
from tests.fakes.eventually import eventually

Step = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers each request with the next step, the last one for ever."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.queries: list[dict[str, str]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.queries.append(dict(request.query))
        return await (self.steps.pop(0) if len(self.steps) > 1 else self.steps[0])(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    scripted = Server()
    application = web.Application()
    application.router.add_get("/{path:.*}", scripted.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    scripted.url = f"http://{host}:{port}"
    yield scripted
    await runner.cleanup()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with Client(Configuration(host=server.url)) as connected:
        yield connected


def config_map(name: str, version: str) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "n", "resourceVersion": version}, "data": {}}


def listed(version: str, *names: str, more: str = "") -> Step:
    async def step(_: web.Request) -> web.StreamResponse:
        metadata = {"resourceVersion": version, "continue": more}
        return web.json_response({"metadata": metadata, "items": [config_map(name, version) for name in names]})

    return step


def refused(status: int) -> Step:
    async def step(_: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "code": status, "message": "no"}, status=status)

    return step


def watched(*lines: object, hold: bool = False) -> Step:
    """A watch that gives these lines and then ends, or says nothing any more."""

    async def step(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n")
        if hold:
            await asyncio.Event().wait()
        return response

    return step


def added(name: str, version: str) -> dict[str, object]:
    return {"type": "ADDED", "object": config_map(name, version)}


async def test_a_forgotten_place_means_a_new_list(server: Server, client: Client) -> None:
    """After 410 everything is listed again, and what went meanwhile is gone."""
    expired = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
    server.steps = [
        listed("5", "old"),
        watched(expired),
        listed("9", "new"),
        refused(410),
        listed("11", "newest"),
        watched(hold=True),
    ]
    async with following(client, kinds.CONFIG_MAPS, "n") as events:
        await eventually(lambda: list(state(events)) == ["newest"], "the third list")
        assert lists(events) == 3


async def test_a_watch_that_ends_goes_on_where_it_was(server: Server, client: Client) -> None:
    """The next watch starts at the last event or bookmark, without a list."""
    bookmark = {
        "type": "BOOKMARK",
        "object": {"kind": "ConfigMap", "metadata": {"resourceVersion": "20", "creationTimestamp": None}},
    }
    server.steps = [listed("5"), watched(added("a", "7")), watched(bookmark), watched(added("b", "21"), hold=True)]
    async with following(client, kinds.CONFIG_MAPS, "n") as events:
        await eventually(lambda: len(state(events)) == 2, "both objects")
        assert lists(events) == 1
    assert [query.get("resourceVersion") for query in server.queries[:4]] == [None, "5", "7", "20"]
    assert server.queries[1]["allowWatchBookmarks"] == "true"


async def test_silence_is_a_broken_connection(server: Server, client: Client) -> None:
    """A half-open connection is left, and the watch made anew."""
    server.steps = [listed("5"), watched(hold=True), watched(added("a", "6"), hold=True)]
    async with following(client, kinds.CONFIG_MAPS, "n", silence_seconds=0.2) as events:
        await eventually(lambda: "a" in state(events), "the event after the silence")
        assert lists(events) == 1


async def test_rubbish_and_errors_are_survived(server: Server, client: Client) -> None:
    """Cut lines, wrong types, 500, 429: tried again, nothing lost, no other exception."""
    wrong = {"type": "ADDED", "object": {"metadata": {"name": 7}}}
    server.steps = [
        refused(500), listed("5", "a"), watched(b'{"type": "ADDED", "obj'), watched(wrong), refused(429), refused(503),
        watched(added("b", "8"), hold=True),
    ]  # fmt: skip
    async with following(client, kinds.CONFIG_MAPS, "n") as events:
        await eventually(lambda: set(state(events)) == {"a", "b"}, "both objects")
        assert lists(events) == 1


async def test_a_list_that_expires_between_its_pages_is_begun_again(server: Server, client: Client) -> None:
    """No half list is ever given."""
    server.steps = [
        listed("5", "a", more="token"),
        refused(410),
        listed("6", "b", more="token"),
        listed("6", "c"),
        watched(hold=True),
    ]
    async with following(client, kinds.CONFIG_MAPS, "n") as events:
        await eventually(lambda: events, "a list")
        assert set(state(events)) == {"b", "c"}
    assert server.queries[3]["continue"] == "token"


TCP_ROUTES = kinds.PARSED_POLICIES["TCPRoute"]


@pytest.mark.spec("7.absent")
async def test_policies_that_the_api_server_does_not_know_are_none(server: Server, client: Client) -> None:
    """A definition that is not installed keeps nobody waiting; when it comes, its objects do."""
    server.steps = [refused(404), refused(404), listed("5", "all"), watched(hold=True)]
    async with following(client, TCP_ROUTES) as events:
        await eventually(lambda: lists(events) > 1, "empty lists")
        await eventually(lambda: list(state(events)) == ["all"], "the object")


@pytest.mark.spec("7.absent")
async def test_a_definition_that_is_lost_takes_nothing_away(server: Server, client: Client) -> None:
    """Whoever removes one sees its objects deleted first; an API server that forgets it is no deletion."""
    server.steps = [listed("5", "all"), watched(), refused(404)]
    async with following(client, TCP_ROUTES) as events:
        await eventually(lambda: len(server.queries) > 4, "more attempts")
        assert list(state(events)) == ["all"]
        assert lists(events) == 1


@pytest.mark.spec("7.absent")
async def test_other_kinds_are_never_taken_for_absent(server: Server, client: Client) -> None:
    """A 404 for what every cluster has is an error."""
    server.steps = [refused(404), refused(404), refused(404), listed("5", "a"), watched(hold=True)]
    async with following(client, kinds.CONFIG_MAPS, "n") as events:
        await eventually(lambda: list(state(events)) == ["a"], "the object")
        assert lists(events) == 1
