"""The control interface, draining, and the metrics (contract 6.control, 6.drain, 8.metrics)."""

import json
import os
import re
import signal
from collections.abc import Callable

import pytest

from mesh.api import names
from tests.nginx import application
from tests.nginx.conftest import APPLICATION_PORT, CLIENT_ID, SERVER, SERVER_ID, Pair
from tests.nginx.documents import Document, To
from tests.nginx.load import running
from tests.nginx.network import Pod
from tests.nginx.processes import cpu_seconds
from tests.nginx.sidecar import Client, Sidecar, get, wait_until
from tests.nginx.test_http import upgraded
from tests.nginx.test_modes import read_all

# So many requests tell what one costs, also on a busy machine.
LONG = 10000
SAMPLE = re.compile(r'[a-z_]+(\{([a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*)?\})? [0-9]+')


@pytest.mark.spec("6.control")
def test_control_port_shows_and_changes_nothing(pair: Pair, plain_pod: Pod) -> None:
    """8886 answers GET /status on loopback alone."""
    with Client(pair.server.pod, "127.0.0.1", names.PORT_CONTROL) as client:
        assert client.request("GET", "/status").status == 200
        assert client.request("POST", "/status").status == 405
        for path in ("/apply", "/drain", "/", "/status/"):
            assert client.request("POST", path, b"").status == 404
    with pytest.raises(OSError):
        get(plain_pod, pair.server.pod.address, names.PORT_CONTROL)
    assert pair.server.request("GET", "/apply")[0] == 405
    assert pair.server.request("GET", "/drain")[0] == 405
    assert not pair.server.status()["draining"]


@pytest.mark.spec("6.control")
def test_metrics_port_serves_metrics_and_readiness(pair: Pair, plain_pod: Pod) -> None:
    """8887 is for everyone, and has nothing else."""
    for path, status in (("/metrics", 200), ("/ready", 200), ("/status", 404), ("/apply", 404)):
        assert get(plain_pod, pair.server.pod.address, names.PORT_METRICS, path)[0] == status


@pytest.mark.spec("6.drain")
def test_drain(pair: Pair, plain_pod: Pod) -> None:
    """New connections are refused by the kernel, what is in flight ends, outgoing works on."""
    with pair.caller() as caller, pair.client.pod.connect(pair.service, 80) as hanging:
        hanging.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: "/hang" in pair.app.requests, "the request in flight")
        status, _ = pair.server.request("POST", "/drain")
        assert status == 200
        assert pair.server.status()["draining"]
        with pytest.raises(ConnectionRefusedError):
            plain_pod.connect(pair.server.pod.address, APPLICATION_PORT)
        pair.app.release.set()
        assert hanging.recv(4096).startswith(b"HTTP/1.1 200")
        # The connection of the request in flight was told to stay before: it carries one more.
        assert [caller.request("GET", "/").status for _ in range(3)][1:] == [502, 502]
    pair.server.apply(pair.server_document().service("shop/other", pair.service, 80, []))
    assert get(pair.server.pod, pair.service, 80)[0] == 503


@pytest.mark.spec("6.drain")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_endpoint_drains_under_load(
    pair: Pair, start_sidecar: Callable[..., Sidecar], other_pod: Pod, method: str
) -> None:
    """Drained while callers still know it, then gone from their tables: no failed request."""
    other = start_sidecar(other_pod)
    other.apply(pair.server_document(), pair.issue(SERVER))
    to = To(other_pod.address, APPLICATION_PORT, SERVER_ID)
    pair.client.apply(pair.client_document(endpoints=[to, *pair.endpoints()]))
    with application.serve(other_pod, APPLICATION_PORT), running(pair.caller, method=method) as load:
        load.more(40)
        load.reach({other_pod.address, pair.server.pod.address})
        assert other.request("POST", "/drain")[0] == 200
        load.more(60)
        pair.client.apply(pair.client_document())
        load.more(40)
    assert load.failures == []
    assert other.metrics()["nginxplus_connections_active"] == 0


@pytest.mark.spec("6.drain")
def test_drain_lasts_over_a_killed_worker_and_ends_with_the_master(pair: Pair, plain_pod: Pod) -> None:
    """A new worker does not listen again; a new master does."""
    pair.server.request("POST", "/drain")
    before = pair.server.worker_pid
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pair.server.worker_pids() not in ([], [before]), "a new worker")
    with pytest.raises(ConnectionRefusedError):
        plain_pod.connect(pair.server.pod.address, APPLICATION_PORT)
    pair.server.restart()
    assert not pair.server.status()["draining"]
    plain_pod.connect(pair.server.pod.address, APPLICATION_PORT).close()


@pytest.mark.spec("8.metrics")
def test_metrics_have_nsm_names(pair: Pair) -> None:
    """Requests, responses by class and connections, with upstream, server and destination; each line parses."""
    with pair.caller() as caller:
        for path in ("/", "/status/204", "/status/404", "/status/503"):
            caller.request("GET", path)
    text = get(pair.client.pod, "127.0.0.1", names.PORT_METRICS, "/metrics")[1]
    for line in text.splitlines():
        assert line.startswith("# ") or SAMPLE.fullmatch(line), line
    metrics = pair.client.metrics()
    labels = (
        f'upstream="shop/server:80",server="{pair.server.pod.address}:{APPLICATION_PORT}",'
        'dst_namespace="shop",dst_service="server",dst_pod="server-0"'
    )
    assert metrics[f"nginxplus_upstream_server_requests{{{labels}}}"] == 4
    for code, count in {"1xx": 0, "2xx": 2, "3xx": 0, "4xx": 1, "5xx": 1}.items():
        assert metrics[f'nginxplus_upstream_server_responses{{{labels},code="{code}"}}'] == count
    assert metrics["nginxplus_http_requests_total"] == 4
    assert metrics["nginxplus_connections_accepted"] == 1
    assert metrics["nginxplus_connections_handled"] == 1
    incoming = pair.server.metrics()
    assert incoming['nginx_mesh_http_requests_total{direction="incoming"}'] == 4


@pytest.mark.spec("6.log")
def test_log_format_changes_at_run_time(pair: Pair) -> None:
    """json lines are JSON, whatever the request holds; the other format says the same."""
    document = pair.server_document()
    document.settings["log_format"] = "json"
    pair.server.apply(document)
    with pair.client.pod.connect(pair.service, 80) as connection:
        connection.sendall(b'GET /a?"b"\\ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        while connection.recv(4096):
            pass
    wait_until(pair.server.log_lines, "a line")
    [line] = pair.server.log_lines()
    entry = json.loads(line)
    assert entry["direction"] == "incoming"
    assert entry["peer_identity"] == CLIENT_ID
    assert entry["tls_version"] == "TLSv1.3"
    assert entry["uri"] == '/a?"b"\\'
    assert entry["status"] == 200


@pytest.mark.spec("6.log")
def test_error_log_level_changes_at_run_time(pair: Pair, plain_pod: Pod) -> None:
    """A refusal is in the log at info, and not at warn."""
    for level, expected in (("warn", False), ("info", True)):
        document = pair.server_document()
        document.settings["error_log_level"] = level
        pair.server.apply(document)
        with plain_pod.connect(pair.server.pod.address, 9999) as connection:
            assert read_all(connection) == b""
        assert ("undeclared_port" in pair.server.error_log.read_text()) is expected


@pytest.mark.spec("6.log")
def test_debug_reaches_existing_connections_and_ends(pair: Pair) -> None:
    """A connection that was open before says at debug what it does, and nothing when the level is warn again."""
    document = pair.client_document("permissive")
    pair.client.apply(document)
    with upgraded(pair) as echo:
        echo(b"quiet")
        assert "[debug]" not in pair.client.error_log.read_text()
        document.settings["error_log_level"] = "debug"
        pair.client.apply(document)
        said = len(pair.client.error_log.read_text())
        echo(b"loud")
        assert "[debug]" in pair.client.error_log.read_text()[said:]
        document.settings["error_log_level"] = "warn"
        pair.client.apply(document)
        # What the request that changed it still says at its own end.
        pair.client.status()
        said = len(pair.client.error_log.read_text())
        echo(b"quiet again")
        assert "[debug]" not in pair.client.error_log.read_text()[said:]


@pytest.mark.spec("6.log")
def test_debug_reaches_every_worker(start_sidecar: Callable[..., Sidecar], client_pod: Pod) -> None:
    """Workers that nobody calls take the level over, too."""
    sidecar = start_sidecar(client_pod, workers=3)
    sidecar.apply(Document(settings={"error_log_level": "debug"}))

    def speaking() -> set[str]:
        return set(re.findall(r"\[debug\] (\d+)#", sidecar.error_log.read_text()))

    wait_until(lambda: speaking() == {str(pid) for pid in sidecar.worker_pids()}, "each worker at debug")


@pytest.mark.spec("6.log")
@pytest.mark.parametrize(
    "count", [100, pytest.param(20000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
def test_debug_that_is_undone_leaves_nothing(pair: Pair, count: int) -> None:
    """Requests at warn, at debug, and at warn again: as little in the log as before, and the long form tells the CPU time."""

    def spend(level: str) -> tuple[int, float]:
        document = pair.client_document("permissive")
        document.settings["error_log_level"] = level
        pair.client.apply(document)
        # What the request that changed it still says at its own end.
        pair.client.status()
        size, spent = pair.client.error_log.stat().st_size, cpu_seconds(pair.client.worker_pid)
        with pair.caller() as caller:
            assert all(caller.request("GET", "/status/200").status == 200 for _ in range(count))
        spent = (cpu_seconds(pair.client.worker_pid) - spent) / count
        return pair.client.error_log.stat().st_size - size, spent * 1e6

    spend("warn")
    quiet, loud, after = spend("warn"), spend("debug"), spend("warn")
    print(f"{count} requests at warn, debug, warn: " + ", ".join(f"{us:.0f} us" for _, us in (quiet, loud, after)))
    assert quiet[0] == after[0] == 0 < loud[0]
    assert count < LONG or after[1] < 1.1 * quiet[1]
