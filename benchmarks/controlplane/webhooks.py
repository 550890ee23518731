"""`make bench-webhooks`: what the webhooks take for an answer, and whether their memory stays flat.

A process with the controller's webhooks, over TLS, knows 1,000 Services and 1,800 policies. Questions come open-loop at a
fixed rate on kept connections, as from an API server: the time of each counts from when it should have been sent.
"""

import argparse
import asyncio
import copy
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from benchmarks.controlplane.endpoints import quantile
from mesh.admission.verdict import Known
from mesh.api import names
from mesh.api.kinds import POLICY_PARSERS
from mesh.controller.webhooks import Webhooks
from tests.fakes.authority import Authority
from tests.unit.api.policies import ALL, BREAKER, GROUP, LIMIT, SPLIT, TARGET, changed
from tests.unit.controller.test_webhooks import configured, question

SERVICES: Final = 1000
EACH_KIND: Final = 300
WARM_UP: Final = 1000

Question = tuple[str, dict[str, Any]]


def surroundings() -> Known:
    """A cluster of the size for which the controller is made."""
    policies: dict[str, list[Any]] = {}
    for manifest in ALL:
        copies = [changed(manifest, "metadata.name", f"other-{number}") for number in range(EACH_KIND)]
        if manifest is SPLIT:
            copies = [changed(one, "spec.service", f"service-{number}") for number, one in enumerate(copies)]
        if manifest in (LIMIT, BREAKER):
            copies = [changed(one, "spec.destination.name", f"service-{number}") for number, one in enumerate(copies)]
        policies[manifest["kind"]] = [POLICY_PARSERS[manifest["kind"]](one) for one in copies]
    return Known(policies, frozenset(f"shop/service-{number}" for number in range(SERVICES)))


def pod(number: int) -> Question:
    """An application with two ports, probes and mounts."""
    probe = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5}
    container = {
        "name": "app",
        "image": f"registry.example/app:{number}",
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "grpc", "containerPort": 9090}],
        "env": [{"name": f"KEY_{index}", "value": "x" * 40} for index in range(20)],
        "livenessProbe": probe,
        "readinessProbe": probe,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    metadata = {"generateName": f"app-{number}-", "labels": {"app": "app"}}
    spec = {
        "containers": [container, {"name": "logs", "image": "logs:1"}],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    return names.INJECT_PATH, {"uid": str(number), "namespace": "shop", "object": {"metadata": metadata, "spec": spec}}


def policy(number: int) -> Question:
    """One policy of each kind in turn; every sixth is refused."""
    manifest = changed(copy.deepcopy(ALL[number % len(ALL)]), "metadata.name", f"new-{number}")
    if manifest["kind"] == GROUP["kind"]:
        manifest = changed(manifest, "spec.matches.2.pathRegex", f"^/{number}/(a|b)+/[0-9]{{1,5}}$")
    if manifest["kind"] == TARGET["kind"]:
        manifest = changed(manifest, "spec.destination.port", -1)
    return names.VALIDATE_PATH, question("CREATE", manifest) | {"uid": str(number)}


async def serve() -> None:
    """The process that is measured: it prints its port, and ends with its input."""
    issued = Authority().issue("/ns/nginx-mesh/sa/nginx-mesh-controller", ("nginx-mesh-webhook.nginx-mesh.svc",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        svid = issued.context().svid
        file.write(svid.chain_pem + svid.key_pem)
        file.flush()
        context.load_cert_chain(file.name)
    runner = web.AppRunner(Webhooks(configured(), surroundings()).application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


async def ask(session: aiohttp.ClientSession, port: int, asked: Question) -> None:
    """One question, one answer."""
    path, request = asked
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    async with session.post(f"https://127.0.0.1:{port}{path}", json=body) as response:
        answer = await response.json()
    if answer["response"]["uid"] != request["uid"]:
        raise RuntimeError(f"no answer to {request['uid']}: {answer}")


async def at_rate(
    session: aiohttp.ClientSession, port: int, make: Callable[[int], Question], rate: float, seconds: float
) -> list[float]:
    """Milliseconds that each question took, sent when it was due, whether or not the ones before were answered."""

    async def timed(number: int, due: float) -> float:
        asked = make(number)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await ask(session, port, asked)
        return (time.monotonic() - due) * 1000

    start = time.monotonic() + 0.1
    return await asyncio.gather(*(timed(number, start + number / rate) for number in range(int(rate * seconds))))


def private_kib(pid: int) -> int:
    """Private memory of a process."""
    rows = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return sum(int(row[1]) for row in rows if row[0] in {"Private_Clean:", "Private_Dirty:"})


async def measure(port: int, pid: int, rate: float, seconds: float, calls: int) -> None:
    """Print the times of both webhooks, then the memory before and after *calls* more."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=8)) as session:
        for number in range(WARM_UP):
            await ask(session, port, (pod if number % 2 else policy)(number))
        before = private_kib(pid)
        for title, make in (("inject", pod), ("validate", policy)):
            found = await at_rate(session, port, make, rate, seconds)
            row = ", ".join(f"{word} {quantile(found, share):.1f} ms" for word, share in (("p50", 0.5), ("p99", 0.99)))
            print(f"{title}: {len(found)} at {rate:g}/s: {row}, max {max(found):.1f} ms", flush=True)
        for number in range(calls):
            await ask(session, port, (pod if number % 2 else policy)(WARM_UP + number))
        print(f"private memory after {WARM_UP} calls {before} KiB, after {calls} more {private_kib(pid)} KiB")


def main() -> None:
    """Start the process, ask it."""
    parser = argparse.ArgumentParser(description="Time of answers and memory of the webhooks.")
    parser.add_argument("--serve", action="store_true", help="be the process that is measured")
    parser.add_argument("--rate", type=float, default=50.0, help="questions per second")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each webhook is asked")
    parser.add_argument("--calls", type=int, default=10_000, help="calls between the two looks at memory")
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
        return
    command = [sys.executable, "-m", "benchmarks.controlplane.webhooks", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # it was asked for
        port = int(process.stdout.readline())
        asyncio.run(measure(port, process.pid, arguments.rate, arguments.seconds, arguments.calls))


if __name__ == "__main__":
    main()
