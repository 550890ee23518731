"""The validating webhook as a real API server asks it: over TLS, by the configuration that is installed (contract 7.webhook)."""

import asyncio
import base64
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from components import webhook_objects
from mesh.api import names
from tests.contract.controller.cluster import Cluster, wait_until_ready
from tests.unit.api.policies import GROUP, LIMIT, SPLIT, TARGET, changed, without

WITHIN = 30.0
GUARDS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
PLURALS = {
    "TrafficSplit": "trafficsplits",
    "HTTPRouteGroup": "httproutegroups",
    "TrafficTarget": "traffictargets",
    "RateLimit": "ratelimits",
}


def ask(cluster: Cluster, method: str, manifest: dict[str, Any], query: str = "") -> tuple[int, str, list[str]]:
    """Create or delete a policy in the shop: status, text of the answer, warnings."""
    manifest = changed(manifest, "metadata.namespace", cluster.shop)
    path = f"/apis/{manifest['apiVersion']}/namespaces/{cluster.shop}/{PLURALS[manifest['kind']]}"
    path += f"/{manifest['metadata']['name']}" if method == "DELETE" else ""
    body = json.dumps(manifest).encode() if method == "POST" else None
    headers = {"Authorization": f"Bearer {cluster.api.token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"https://127.0.0.1:{cluster.api.port}{path}{query}", body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30, context=cluster.api._context) as answer:
            return answer.status, answer.read().decode(), answer.headers.get_all("Warning") or []
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), []


async def install(cluster: Cluster) -> None:
    """The webhook as it is installed, but for the shop's namespace alone, and by a port of this machine."""
    hook = webhook_objects.validator(cluster.namespace)
    bundle = base64.b64encode(cluster.controller_svid().context().bundle_pem).decode()
    shop = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [cluster.shop]}
    for entry in hook["webhooks"]:
        url = f"https://localhost:{cluster.webhook_port}{names.VALIDATE_PATH}"
        entry |= {"clientConfig": {"url": url, "caBundle": bundle}, "timeoutSeconds": 30}
        entry["namespaceSelector"] = {"matchExpressions": [shop]}
    await asyncio.to_thread(cluster.api.request, "POST", GUARDS, hook)


async def until(cluster: Cluster, manifest: dict[str, Any], word: str) -> tuple[int, str, list[str]]:
    """Ask in dry runs until *word* is in the answer: a new webhook, and what it knows, come within moments."""
    async with asyncio.timeout(WITHIN):
        while True:
            answer = await asyncio.to_thread(ask, cluster, "POST", manifest, "?dryRun=All")
            if word in answer[1] or any(word in text for text in answer[2]):
                return answer
            await asyncio.sleep(0.05)


@pytest.mark.spec("7.webhook")
async def test_the_api_server_asks_and_obeys(cluster: Cluster) -> None:
    """Refused with the reason, warned of, judged beside what is there; a dry run leaves nothing behind."""
    service = f"nginx-mesh-webhook.{cluster.namespace}.svc"
    await cluster.workload_api.rotate(cluster.controller_svid(service, "localhost"))
    async with cluster.controller():
        await wait_until_ready(cluster, cluster.health_port, WITHIN)
        await install(cluster)
        status, text, _ = await until(cluster, changed(without(LIMIT, "spec.rules"), "spec.rate", "0r/s"), "denied")
        assert status == 422
        assert json.loads(text)["message"].partition("request: ")[2].startswith('spec.rate: got "0r/s", takes ')

        old = changed(LIMIT, "apiVersion", "specs.smi.nginx.com/v1alpha1")
        status, _, warnings = await asyncio.to_thread(ask, cluster, "POST", old, "?dryRun=All")
        assert status == 201
        assert any("knows no Service" in text for text in warnings)
        status, text, _ = await asyncio.to_thread(ask, cluster, "POST", LIMIT)
        assert status == 201, text
        second = changed(LIMIT, "metadata.name", "second")
        status, text, _ = await until(cluster, second, "denied")
        assert (status, f"a source that {cluster.shop}/reviews does not limit" in text) == (422, True)

        for manifest in (GROUP, TARGET):
            status, text, _ = await asyncio.to_thread(ask, cluster, "POST", manifest)
            assert status == 201, text
        # Once this replica has seen the group, nothing is missing any more.
        async with asyncio.timeout(WITHIN):
            while True:
                status, _, warnings = await asyncio.to_thread(ask, cluster, "POST", SPLIT, "?dryRun=All")
                assert status == 201
                if not any("no HTTPRouteGroup" in text for text in warnings):
                    break
                await asyncio.sleep(0.05)
        async with asyncio.timeout(WITHIN):
            while True:
                status, _, warnings = await asyncio.to_thread(ask, cluster, "DELETE", GROUP, "?dryRun=All")
                assert status == 200
                if any(f"TrafficTarget {cluster.shop}/reviews" in text for text in warnings):
                    break
                await asyncio.sleep(0.05)
        assert (await asyncio.to_thread(ask, cluster, "DELETE", GROUP))[0] == 200
        splits = f"/apis/{SPLIT['apiVersion']}/namespaces/{cluster.shop}/trafficsplits"
        assert (await asyncio.to_thread(cluster.api.request, "GET", splits))["items"] == []
        # No guard is left behind that would ask a controller that is gone.
        await asyncio.to_thread(cluster.api.request, "DELETE", f"{GUARDS}/{names.VALIDATING_WEBHOOK}")
