"""What the access log says about TCP connections, in both formats (contract 6.log)."""

import json
from typing import Any

import pytest

from tests.nginx.conftest import CLIENT_ID, SERVER_ID, Pair
from tests.nginx.network import Pod
from tests.nginx.sidecar import Sidecar, wait_until
from tests.nginx.streams import (
    SERVICE_PORT,
    TCP_PORT,
    call,
    call_is_reset,
    client_document,
    exchange,
    read_all,
    server_document,
    serving,
    set_up,
    wait_for_refusal,
)


def line(sidecar: Sidecar) -> str:
    """The only line."""
    wait_until(sidecar.log_lines, "a line in the access log")
    [line] = sidecar.log_lines()
    return line


@pytest.mark.spec("6.log")
def test_a_connection_is_logged_when_it_ends(pair: Pair) -> None:
    """On both sides, with the proven identity of the other one and what was carried."""
    set_up(pair)
    with serving(pair.server.pod), call(pair) as connection:
        assert exchange(connection, b"twelve bytes") == b"twelve bytes"
        assert pair.client.log_lines() == []
    outgoing, incoming = line(pair.client), line(pair.server)
    address = f"{pair.server.pod.address}:{TCP_PORT}"
    for part in (
        '"TCP" 200 12 ',
        f'direction=outgoing peer="{SERVER_ID}" upstream="shop/db:{SERVICE_PORT}" server="{address}"',
        f'original_dst="{pair.service}:{SERVICE_PORT}" refused="-" bytes_received=12',
    ):
        assert part in outgoing
    for part in (
        '"TCP" 200 12 ',
        f'direction=incoming peer="{CLIENT_ID}" upstream="application" server="{address}"',
        f'original_dst="{address}" refused="-" bytes_received=12',
    ):
        assert part in incoming


@pytest.mark.spec("6.log")
def test_the_format_changes_at_run_time(pair: Pair) -> None:
    """Also of connections that are open: the line is written when they end."""
    set_up(pair)
    with serving(pair.server.pod), call(pair) as connection:
        assert exchange(connection) == b"ping"
        pair.client.apply(client_document(pair, log_format="json"))
    fields: dict[str, Any] = json.loads(line(pair.client))
    assert (fields["direction"], fields["peer_identity"], fields["protocol"]) == ("outgoing", SERVER_ID, "TCP")
    assert (fields["bytes_sent"], fields["bytes_received"], fields["refused"]) == (4, 4, "")


@pytest.mark.spec("6.log", "7.reasons")
def test_refused_connections_are_logged_with_the_reason(pair: Pair, plain_pod: Pod) -> None:
    """Before TLS, and after it by a policy, which is named."""
    set_up(pair)
    with serving(pair.server.pod), plain_pod.connect(pair.server.pod.address, TCP_PORT) as connection:
        connection.sendall(b"plaintext")
        wait_for_refusal(pair, "incoming", "plaintext")
        read_all(connection)
    assert '"TCP" 403 0 ' in line(pair.server)
    assert 'direction=incoming peer="-"' in line(pair.server)
    assert 'refused="plaintext"' in line(pair.server)
    pair.server.apply(server_document().enforce_access().target("shop/http-only", [CLIENT_ID], rules=[]))
    with serving(pair.server.pod):
        assert call_is_reset(pair)
    wait_until(lambda: len(pair.server.log_lines()) == 2, "a second line")
    assert f'peer="{CLIENT_ID}"' in pair.server.log_lines()[1]
    assert '"TCP" 403 0 ' in pair.server.log_lines()[1]
    assert 'refused="access_no_rule:shop/http-only"' in pair.server.log_lines()[1]


@pytest.mark.spec("6.log", "7.reasons")
def test_what_cannot_be_served_now_is_logged_as_unavailable(pair: Pair) -> None:
    """As http has it: 503, not 403, in both formats."""
    set_up(pair)
    for log_format in ("default", "json"):
        pair.client.apply(client_document(pair, to=[], log_format=log_format))
        with call(pair) as connection:
            assert read_all(connection) == b""
    wait_until(lambda: len(pair.client.log_lines()) == 2, "two lines")
    default, json_line = pair.client.log_lines()
    assert '"TCP" 503 0 ' in default
    assert 'refused="no_endpoint"' in default
    fields: dict[str, Any] = json.loads(json_line)
    assert (fields["status"], fields["refused"]) == (503, "no_endpoint")
