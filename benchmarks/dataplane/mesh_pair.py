"""Ours: the NGINX of a sidecar with its module, template and documents as in the image; no agent."""

from contextlib import ExitStack

from benchmarks.dataplane.processes import pin
from benchmarks.dataplane.subjects import CLIENT_ID_PATH, SERVER_ID_PATH, Pair
from benchmarks.dataplane.workloads import PORTS
from tests.nginx.documents import Document, Match, To
from tests.nginx.network import Pod
from tests.nginx.sidecar import Sidecar


def start(pair: Pair, ending: ExitStack) -> None:
    """Start both sidecars in mode strict."""
    # The client's ends first, as it holds connections to the server's: hence it starts last.
    server = _sidecar(pair, pair.server, ending)
    client = _sidecar(pair, pair.client, ending)
    client.apply(_client_document(pair), pair.issue(CLIENT_ID_PATH))
    server.apply(_server_document(pair), pair.issue(SERVER_ID_PATH))


def _sidecar(pair: Pair, pod: Pod, ending: ExitStack) -> Sidecar:
    pod.redirect()
    sidecar = Sidecar(pod, pair.binary)
    sidecar.start()
    ending.callback(sidecar.close)
    for pid in (sidecar.master_pid, *sidecar.worker_pids()):
        pair.proxies.add(pid)
        pin(pid, pair.cores.proxies)
    return sidecar


def _server_document(pair: Pair) -> Document:
    document = Document(mode="strict", incoming={port.application: port.protocol for port in PORTS})
    if not pair.targets:
        return document
    caller = f"spiffe://{pair.authority.trust_domain}{CLIENT_ID_PATH}"
    document.enforce_access()
    for number in range(pair.targets):
        rules = [Match(f"^/team-{number}/[a-z0-9]+(/|$)", "GET,POST")]
        document.target(f"shop/target-{number}", [f"{caller}-{number}"], rules=rules)
    return document.target("shop/client", [caller], rules=[Match("^/([a-z0-9/.]*)$", "GET,POST")], tcp=True)


def _client_document(pair: Pair) -> Document:
    identity = f"spiffe://{pair.authority.trust_domain}{SERVER_ID_PATH}"
    document = Document(mode="strict")
    for service in pair.known:
        for port in PORTS:
            endpoints = [To(address, port.application, identity, "shop/server-0") for address in service.endpoints]
            document.service(service.name, service.address, port.service, endpoints, protocol=port.protocol)
    return document
