"""Annotations of Services and Namespaces, judged by a real API server's question (contract 5.object-annotations)."""

import asyncio
from typing import Any

import pytest

from mesh.api import names
from tests.apiserver import ApiError
from tests.contract.controller.cluster import Cluster, wait_until_ready
from tests.contract.controller.test_policy_webhook import GUARDS, install
from tests.fakes.eventually import eventually

WITHIN = 60.0


def annotate(cluster: Cluster, path: str, **annotations: str) -> str:
    """Annotate an object with keys of ours; give what the API server refuses it with, or nothing."""
    whole = {f"config.nsm.nginx.com/{key.replace('_', '-')}": text for key, text in annotations.items()}
    try:
        cluster.api.merge(path, {"metadata": {"annotations": whole}})
    except ApiError as error:
        return str(error).replace('\\"', '"')
    return ""


@pytest.mark.spec("5.object-annotations")
async def test_wrong_annotations_are_refused_and_those_that_are_there_are_told(cluster: Cluster) -> None:
    """What was stored before the webhook stood gets an event; afterwards nobody writes such a thing."""
    service, namespace = f"/api/v1/namespaces/{cluster.shop}/services/web", f"/api/v1/namespaces/{cluster.shop}"
    cluster.make_service()
    assert annotate(cluster, namespace, egress_scope="Shop") == ""
    host = f"nginx-mesh-webhook.{cluster.namespace}.svc"
    await cluster.workload_api.rotate(cluster.controller_svid(host, "localhost"))
    async with cluster.controller():
        await wait_until_ready(cluster, cluster.health_port, WITHIN)

        def told() -> list[Any]:
            found = cluster.api.request("GET", "/api/v1/namespaces/default/events")["items"]
            return [row for row in found if row["involvedObject"]["name"] == cluster.shop]

        await eventually(told, "the event at the namespace", WITHIN)
        [event] = told()
        assert event["reason"] == "InvalidAnnotation"
        assert f'annotation {names.ANNOTATION_EGRESS_SCOPE}: got "Shop" in "Shop", takes names' in event["message"]

        await install(cluster)
        refused, tried = "", 0
        async with asyncio.timeout(WITHIN):
            while not refused:  # a new webhook is asked after a moment; what was written before it is not judged again
                tried += 1
                refused = await asyncio.to_thread(annotate, cluster, service, retries=f"{tried}e3")
                await asyncio.sleep(0.05)
        assert refused.startswith("422")
        assert f'annotation {names.ANNOTATION_RETRIES}: got "{tried}e3", takes a whole number from 0 to 10' in refused
        refused = await asyncio.to_thread(annotate, cluster, namespace, egress_scope="80,,81")
        assert f"annotation {names.ANNOTATION_EGRESS_SCOPE}: got" in refused
        # What is wrong already keeps nobody from the rest.
        await asyncio.to_thread(cluster.api.merge, namespace, {"metadata": {"annotations": {"other": "x"}}})
        assert await asyncio.to_thread(annotate, cluster, service, retries="3") == ""
        assert await asyncio.to_thread(annotate, cluster, namespace, egress_scope="*") == ""
        await asyncio.to_thread(cluster.api.request, "DELETE", f"{GUARDS}/{names.VALIDATING_WEBHOOK}")
