"""What the mesh holds in memory, live (contract 6.memory)."""

import os
import secrets
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mesh.api import names
from scripts import memory
from tests.e2e.apps import App
from tests.e2e.eventually import eventually
from tests.e2e.load import assert_no_failure
from tests.e2e.mesh_under_test import MeshUnderTest
from tests.resilience.pair import Pair, app

CHURN_RATE = 50.0
FROM_SECONDS, TO_SECONDS = 300.0, 900.0
HOLDERS, ENDPOINTS = 4, 5
AIMS_BY_SERVICES = {20: 33.0, 100: 36.0, 200: 45.0}


@pytest.mark.spec("6.memory")
@pytest.mark.timeout(240)
def test_sidecars_and_controller_are_small(pair: Pair) -> None:
    """The median sidecar and the controller hold no more than aimed at, after traffic."""
    assert os.geteuid() == 0
    with pair.load(10.0) as load:
        assert_no_failure(load.result())
    containers = memory.measure(pair.mesh.kubectl)
    print(memory.report(containers))
    assert memory.typical(containers).keys() == memory.AIMS_MIB.keys()
    assert memory.missed(containers) == []


@pytest.mark.spec("6.memory")
@pytest.mark.soak
@pytest.mark.timeout(900)
def test_services_in_scope_cost_little(mesh: MeshUnderTest) -> None:
    """20, 100, 200 Services of five endpoints each: what the median sidecar holds that knows them all."""
    namespace = f"many-{secrets.token_hex(3)}"
    found: dict[int, float] = {}
    try:
        mesh.create(namespace, App("holder", mesh.image, (8080,), {"holder": (80, 8080)}, replicas=HOLDERS))
        for count in AIMS_BY_SERVICES:
            known = max(found, default=0)
            mesh.kubectl.apply(*(item for number in range(known, count) for item in bare_service(namespace, number)))
            eventually(partial(knows, mesh, namespace, count), 120, f"{count} Services in the sidecars")
            sizes = [one.pss for one in memory.measure(mesh.kubectl) if one.pod.startswith(namespace)]
            found[count] = statistics.median([size for size in sizes if size])
    finally:
        mesh.kubectl.run("delete", "namespace", namespace, "--wait=false")
    print({count: f"{size:.1f} MiB" for count, size in found.items()})
    assert {count: size for count, size in found.items() if size > AIMS_BY_SERVICES[count]} == {}


def bare_service(namespace: str, number: int) -> list[dict[str, Any]]:
    """A Service without selector, and its endpoints written by hand; nobody listens there."""
    name = f"service-{number}"
    metadata = {"name": name, "namespace": namespace}
    addresses = [f"198.18.{240 + number % 8}.{ENDPOINTS * (number // 8) + offset + 1}" for offset in range(ENDPOINTS)]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        },
    ]


def knows(mesh: MeshUnderTest, namespace: str, count: int) -> bool:
    """Whether the NGINX of every holder was told *count* Services."""
    for pod in mesh.pods(namespace, "holder"):
        worker = min(mesh.workers(pod))  # /var/run is an absolute link, which would lead out of the container
        state = Path(f"/proc/{worker}/root/run/nginx-mesh/state").read_text(encoding="ascii")
        if sum(line.startswith("upstream\t") for line in state.splitlines()) < count:
            return False
    return True


@pytest.mark.spec("6.memory")
@pytest.mark.soak
@pytest.mark.timeout(2400)
def test_churn_does_not_grow_them(pair: Pair) -> None:
    """Workloads come and go for 15 minutes under load: under 1 MiB of growth between minute 5 and minute 15."""
    measured = []
    began = time.monotonic()
    with pair.load(TO_SECONDS, rate=CHURN_RATE) as load:
        for number, until in ((0, FROM_SECONDS), (1, TO_SECONDS)):
            while time.monotonic() < began + until:
                pair.assert_newcomer_works(f"churn-{number}")
            measured.append(memory.measure(pair.mesh.kubectl))
        assert_no_failure(load.result())
    grown = memory.growth(*measured)
    print(grown)
    pair.mesh.deploy(pair.namespace, app("after-churn", pair.mesh.image))
    assert {name for name in (names.SIDECAR, names.CONTROLLER) if grown[name] >= memory.GROWTH_MIB} == set()
