"""The trust root is replaced under load, in steps that each wait for every sidecar (contract 3.root)."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from mesh.api import names
from tests.e2e.eventually import eventually
from tests.e2e.load import assert_no_failure
from tests.e2e.mesh_under_test import NAMESPACE, MeshUnderTest
from tests.resilience import bus_monitor
from tests.resilience.pair import Pair, Sidecar, assert_grown

LOAD_SECONDS = 60.0
STEP_SECONDS = 40.0
SPIRE = "/opt/spire/bin/spire-server"
SOCKET = "/run/spire/server/private/api.sock"


@pytest.mark.spec("3.root")
@pytest.mark.timeout(600)
def test_the_trust_root_is_replaced_under_load(pair: Pair) -> None:
    """A second root is trusted, then signs, then the first is renounced and trusted no more: nothing fails or restarts."""
    sidecars = {"caller": pair.caller, "server": pair.server}
    processes = {name: sidecar.processes() for name, sidecar in sidecars.items()}
    counters = {name: sidecar.counters() for name, sidecar in sidecars.items()}
    old = authority(pair.mesh, "show")["active"]["authority_id"]
    with pair.load(LOAD_SECONDS) as load:
        began = time.monotonic()
        new = _step(pair, sidecars, "bundle_digest", lambda: authority(pair.mesh, "prepare"))["prepared_authority"]
        identifier = str(new["authority_id"])
        authority(pair.mesh, "activate", identifier)
        _step(pair, sidecars, "svid_serial", lambda: authority(pair.mesh, "taint", old))
        _step(pair, sidecars, "bundle_digest", lambda: authority(pair.mesh, "revoke", old))
        took = time.monotonic() - began
        report = load.result()
    print({"seconds": round(took, 1), "latency_ms": report["latency_ms"]})
    assert_no_failure(report)
    assert took < LOAD_SECONDS
    assert authority(pair.mesh, "show")["active"]["authority_id"] == identifier
    assert {name: sidecar.processes() for name, sidecar in sidecars.items()} == processes
    for name, sidecar in sidecars.items():
        assert_grown(counters[name], sidecar.counters())
    pair.assert_newcomer_works("after-root")
    pair.mesh.wait_synced()


def _step(pair: Pair, sidecars: dict[str, Sidecar], field: str, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do something, and wait until it shows in *field* of both sidecars and at the bus."""
    before = {name: sidecar.status()[field] for name, sidecar in sidecars.items()}
    reloaded = bus_monitor.reloaded_at(pair.mesh)
    answer = act()
    eventually(
        lambda: all(sidecar.status()[field] not in (None, before[name]) for name, sidecar in sidecars.items()),
        STEP_SECONDS,
        f"another {field} of both sidecars",
    )
    eventually(lambda: bus_monitor.reloaded_at(pair.mesh) != reloaded, STEP_SECONDS, "a reload of the bus")
    return answer


def authority(mesh: MeshUnderTest, verb: str, identifier: str = "") -> dict[str, Any]:
    """Run one of the SPIRE server's commands about its own signing authorities."""
    options = ["-socketPath", SOCKET, "-output", "json", *(["-authorityID", identifier] if identifier else [])]
    pod = f"{names.SPIRE_SERVER}-0"
    output = mesh.kubectl.run(
        *("-n", NAMESPACE, "exec", pod, "-c", names.SPIRE_SERVER, "--"),
        *(SPIRE, "localauthority", "x509", verb, *options),
    )
    answer: dict[str, Any] = json.loads(output)
    return answer
