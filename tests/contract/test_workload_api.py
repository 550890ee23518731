"""Our Workload API client against a gRPC server of another make: rotation, errors, restarts (contract 3.rotation)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from mesh.kit.backoff import Backoff
from mesh.spiffe import grpc
from mesh.spiffe.workload_api import METHOD, X509Context, watch_x509
from tests.fakes.authority import Authority
from tests.fakes.workload_api import WorkloadApi, answer

AUTHORITY = Authority()
WITHIN = 30.0


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[WorkloadApi]:
    async with WorkloadApi(tmp_path / "agent.sock", AUTHORITY.issue("/ns/shop/sa/web")) as server:
        yield server


def watch(api: WorkloadApi, reasons: asyncio.Queue[str] | None = None) -> AsyncIterator[X509Context]:
    return watch_x509(str(api.socket), reasons.put_nowait if reasons is not None else None, Backoff(0.01, 0.05))


async def following(watcher: AsyncIterator[X509Context]) -> X509Context:
    return await asyncio.wait_for(anext(watcher), WITHIN)


@pytest.mark.spec("3.rotation")
async def test_each_rotation_arrives_in_order(api: WorkloadApi) -> None:
    """200 rotations in a row: every one arrives, over one stream."""
    watcher = watch(api)
    await following(watcher)
    for number in range(200):
        issued = AUTHORITY.issue(f"/ns/shop/sa/web{number}")
        await api.rotate(issued)
        assert await following(watcher) == issued.context()
    assert api.calls == 1


async def test_permission_denied_waits_for_the_entry(api: WorkloadApi) -> None:
    """A pod whose entry does not exist yet gets its SVID once it does, and knows the reason meanwhile."""
    await api.rotate(None)
    reasons: asyncio.Queue[str] = asyncio.Queue()
    first = asyncio.create_task(following(watch(api, reasons)))
    told = {await asyncio.wait_for(reasons.get(), WITHIN) for _ in range(3)}
    issued = AUTHORITY.issue("/ns/shop/sa/late")
    await api.rotate(issued)
    assert (await first).svid.spiffe_id == issued.spiffe_id
    assert told == {"PERMISSION_DENIED: no identity issued"}


@pytest.mark.parametrize("how", ["drop_streams", "restart", "denied", "garbage"])
async def test_trouble_never_ends_the_watch(api: WorkloadApi, how: str) -> None:
    """After any trouble the next rotation arrives; the identity that was held is not given out twice."""
    watcher = watch(api)
    await following(watcher)
    upcoming = asyncio.create_task(following(watcher))
    issued = AUTHORITY.issue("/ns/shop/sa/next")
    match how:
        case "drop_streams":
            await api.drop_streams()
        case "restart":
            await api.stop()
            await api.start()
        case "denied":
            await api.rotate(None)
        case "garbage":
            await api.send_raw(b"\x0a\x03abc")
    await api.rotate(issued)
    assert (await upcoming).svid.spiffe_id == issued.spiffe_id


async def test_no_socket_yet(tmp_path: Path) -> None:
    """The agent may start after the workload."""
    server = WorkloadApi(tmp_path / "agent.sock", AUTHORITY.issue("/ns/shop/sa/web"))
    reasons: asyncio.Queue[str] = asyncio.Queue()
    first = asyncio.create_task(following(watch(server, reasons)))
    assert "cannot connect" in await asyncio.wait_for(reasons.get(), WITHIN)
    async with server:
        assert (await first).svid.spiffe_id.endswith("/web")


async def test_without_the_security_header_it_is_refused(api: WorkloadApi) -> None:
    """The fake insists on the header as SPIRE does, so the tests above prove that we send it."""
    with pytest.raises(grpc.GrpcError, match="security header"):
        await grpc.unary(grpc.unix(str(api.socket)), METHOD, b"")


async def test_unary_needs_exactly_one_message(api: WorkloadApi) -> None:
    """A call that never ends is given up within its time."""
    with pytest.raises(grpc.GrpcError, match="DEADLINE_EXCEEDED"):
        await grpc.unary(grpc.unix(str(api.socket)), METHOD, b"", [("workload.spiffe.io", "true")], seconds=0.2)


async def test_unknown_method(api: WorkloadApi) -> None:
    """The server's own status is passed on (12: UNIMPLEMENTED)."""
    with pytest.raises(grpc.GrpcError) as caught:
        await grpc.unary(grpc.unix(str(api.socket)), "/SpiffeWorkloadAPI/Nothing", b"")
    assert caught.value.status == 12


async def test_a_large_answer_passes_flow_control(api: WorkloadApi) -> None:
    """A bundle of 300 roots (over the initial window of 64 KiB) arrives whole."""
    roots = AUTHORITY.bundle * 300
    issued = AUTHORITY.issue("/ns/shop/sa/web", bundle=roots)
    await api.rotate(issued)
    stream = grpc.server_stream(grpc.unix(str(api.socket)), METHOD, b"", [("workload.spiffe.io", "true")])
    async with aclosing(stream) as messages:
        assert await anext(messages) == answer(issued)


async def test_a_server_that_is_no_http2_server(tmp_path: Path) -> None:
    """Rubbish instead of HTTP/2 is an error of the call, not of the process."""

    async def rubbish(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_unix_server(rubbish, tmp_path / "x.sock")
    async with server:
        with pytest.raises(grpc.GrpcError):
            await grpc.unary(grpc.unix(str(tmp_path / "x.sock")), METHOD, b"", seconds=WITHIN)


async def test_agrees_with_another_client(api: WorkloadApi) -> None:
    """py-spiffe reads the same identity from the same server."""
    import spiffe

    def fetch() -> tuple[str, str]:
        with spiffe.WorkloadApiClient(f"unix:{api.socket}") as client:
            svid = client.fetch_x509_svid()
            return str(svid.spiffe_id), f"{svid.leaf.serial_number:x}"

    ours = (await following(watch(api))).svid
    assert await asyncio.to_thread(fetch) == (ours.spiffe_id, ours.serial)
