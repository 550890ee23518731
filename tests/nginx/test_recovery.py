"""NGINX's processes are killed: what is lost, and what is still there (contract 6.recovery)."""

import http.client
import os
import signal
import time

import pytest

from tests.nginx.conftest import SERVER_ID, Pair
from tests.nginx.load import running
from tests.nginx.sidecar import wait_until

WORKER_BACK_SECONDS = 1.0


@pytest.mark.spec("6.recovery")
@pytest.mark.parametrize("side", ["client", "server"])
def test_worker_is_killed(pair: Pair, side: str) -> None:
    """The next request succeeds within a second; table, certificates and counters are still there."""
    sidecar = pair.client if side == "client" else pair.server
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
    before = sidecar.status()
    requests = sidecar.metrics()["nginxplus_http_requests_total"]
    os.kill(sidecar.worker_pid, signal.SIGKILL)
    started = time.monotonic()
    wait_until(lambda: _succeeds(pair), "a request that succeeds", WORKER_BACK_SECONDS)
    print(f"{side} worker killed: next success after {(time.monotonic() - started) * 1000:.0f} ms")
    after = sidecar.status()
    for key in ("revision", "svid_serial", "bundle_digest", "mode", "ready"):
        assert after[key] == before[key]
    assert after["pid"] != before["pid"]
    assert sidecar.metrics()["nginxplus_http_requests_total"] == requests + 1
    sidecar.replaced_worker()


@pytest.mark.spec("6.recovery")
def test_only_what_is_in_flight_fails_with_the_worker(pair: Pair) -> None:
    """Under load, a killed worker costs each open connection of the application at most one request."""
    threads = 4
    with running(pair.caller, threads=threads) as load:
        load.more(50)
        os.kill(pair.client.worker_pid, signal.SIGKILL)
        wait_until(lambda: len(pair.client.worker_pids()) == 1, "a new worker")
        done = load.done
        wait_until(lambda: load.done >= done + 50, "requests that succeed")
    assert len(load.failures) <= threads, load.failures
    pair.client.replaced_worker()


@pytest.mark.spec("6.recovery")
def test_master_and_worker_are_killed(pair: Pair) -> None:
    """A new master with the same directory has table, certificates and counters."""
    with pair.caller() as caller:
        for _ in range(3):
            assert caller.request("GET", "/").status == 200
    before = pair.server.status()
    series = f'nginxplus_upstream_server_responses{{upstream="application",server="{pair.server.pod.address}:8080",code="2xx"}}'
    assert pair.server.metrics()[series] == 3
    pair.server.restart()
    assert _succeeds(pair)
    after = pair.server.status()
    for key in ("revision", "svid_serial", "bundle_digest", "ready"):
        assert after[key] == before[key]
    assert after["generation"] == before["generation"]
    assert pair.server.metrics()[series] == 4


@pytest.mark.spec("6.recovery")
def test_new_master_starts_beside_the_workers_of_a_killed_one(pair: Pair) -> None:
    """Only the master dies: its worker serves until the next master is up and then ends by SIGQUIT; no request fails."""
    old_worker = pair.client.worker_pid
    with running(pair.caller) as load:
        load.more(20)
        os.kill(pair.client.master_pid, signal.SIGKILL)
        load.more(20)
        pair.client.start()
        os.kill(old_worker, signal.SIGQUIT)
        load.more(100)
        assert pair.client.worker_pid != old_worker
    assert load.failures == []
    wait_until(lambda: not _exists(old_worker), "the end of the old worker")
    pair.client.replaced_worker()
    assert pair.client.metrics()["nginxplus_connections_active"] == 0


@pytest.mark.spec("6.recovery")
def test_two_workers_agree(pair: Pair) -> None:
    """What one worker is told the other takes over before it routes: ten changes, each seen by the next calls."""
    pair.client.workers = 2
    pair.client.stop()
    pair.client.write("nginx.conf", pair.client.configuration())
    pair.client.start()
    other = "spiffe://example.org/ns/shop/sa/other"
    for identity, status in [(SERVER_ID, 200), (other, 502)] * 5:
        pair.client.apply(pair.client_document(endpoints=pair.endpoints(identity=identity)))
        for _ in range(4):
            with pair.caller() as caller:
                assert caller.request("GET", "/").status == status


def _succeeds(pair: Pair) -> bool:
    try:
        with pair.caller(timeout=3) as caller:
            return caller.request("GET", "/").status == 200
    except (OSError, http.client.HTTPException):
        return False


def _exists(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
