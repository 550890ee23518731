"""TLS contexts made from SVIDs: who is accepted, and rotation on a live context (contract 3.rotation)."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from mesh.spiffe import tls
from tests.fakes.authority import Authority

AUTHORITY, STRANGER = Authority(), Authority()
HOST = "web.shop.svc"
WITHIN = 30.0


@asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


@asynccontextmanager
async def serving(context: ssl.SSLContext) -> AsyncIterator[Callable[[ssl.SSLContext], Awaitable[tuple[str, str]]]]:
    """A server that echoes one line; yields a call that returns (server's serial, TLS version) after the echo."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with closing(writer), asyncio.timeout(WITHIN):
            writer.write(await reader.readline())
            await writer.drain()

    async def call(client: ssl.SSLContext) -> tuple[str, str]:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(WITHIN):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=HOST)
            async with closing(writer):
                writer.write(b"hello\n")
                assert await reader.readline() == b"hello\n"
                connection = writer.get_extra_info("ssl_object")
                return connection.getpeercert()["serialNumber"].lower().lstrip("0"), connection.version()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    async with server:
        yield call


@pytest.mark.spec("3.rotation")
async def test_a_live_server_changes_its_certificate() -> None:
    """The same listening context presents the next SVID in the next handshake."""
    first = AUTHORITY.issue("/web", (HOST,)).context()
    context = tls.server_context(first, verify_clients=True)
    client = tls.client_context(AUTHORITY.issue("/client").context())
    async with serving(context) as call:
        assert await call(client) == (first.svid.serial, "TLSv1.3")
        second = AUTHORITY.issue("/web", (HOST,)).context()
        tls.apply(context, second)
        assert await call(client) == (second.svid.serial, "TLSv1.3")


@pytest.mark.parametrize(
    ("authority", "names"), [(STRANGER, (HOST,)), (AUTHORITY, ("other.shop.svc",)), (AUTHORITY, ())]
)
async def test_a_client_refuses(authority: Authority, names: tuple[str, ...]) -> None:
    """A server of another root, or without the host name that was called."""
    context = tls.server_context(authority.issue("/web", names).context())
    async with serving(context) as call:
        with pytest.raises(ssl.SSLCertVerificationError):
            await call(tls.client_context(AUTHORITY.issue("/client").context()))


async def test_a_server_refuses_strangers() -> None:
    """A client of another trust domain gets no byte through."""
    context = tls.server_context(AUTHORITY.issue("/web", (HOST,)).context(), verify_clients=True)
    wrong = STRANGER.issue("/client", bundle=AUTHORITY.bundle).context()
    async with serving(context) as call:
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            await call(tls.client_context(wrong))


def test_a_key_that_does_not_fit_changes_nothing() -> None:
    """A half-applied rotation would break every later handshake."""
    good, other = AUTHORITY.issue("/web", (HOST,)), AUTHORITY.issue("/web", (HOST,))
    mixed = type(good)(good.spiffe_id, good.chain, other.key, good.bundle, good.certificate).context()
    context = tls.server_context(good.context())
    with pytest.raises(ssl.SSLError):
        tls.apply(context, mixed)
    tls.apply(context, good.context())


def test_strict_extension_checks_are_off() -> None:
    """Roots without key identifiers are taken on every Python."""
    context = tls.client_context(AUTHORITY.issue("/client").context())
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
