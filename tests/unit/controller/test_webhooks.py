"""AdmissionReview in, AdmissionReview out: policies are judged, and nothing else happens (contract 7.webhook)."""

import copy
import gc
import json
import tracemalloc
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from components.custom_resources import ClusterAccess
from mesh.admission.verdict import Surroundings
from mesh.api import names
from mesh.controller.configuration import Configuration, load_installation
from mesh.controller.webhooks import Webhooks
from mesh.kube.watch import Key, Listed
from stacks import loading, wiring
from tests.unit.admission.test_validate import FULL
from tests.unit.api.policies import ALL, GROUP, LIMIT, SPLIT, changed, without

STACK = {"registry": '{"server": "registry.example/mesh"}', "mtls": '{"persistentStorage": "on"}'}
POD = {"metadata": {"generateName": "web-"}, "spec": {"containers": [{"name": "app", "image": "a:1"}]}}


def configured() -> Configuration:
    """As a running controller has it, with the defaults of a stack."""
    args = wiring.mesh_args(loading.parse(STACK, {"registry"}), ClusterAccess())
    installation = load_installation(json.dumps(args.controller.spec.installation), "nginx-mesh", "example.org")
    configuration = Configuration(installation, lambda: None)
    manifest = {
        "apiVersion": "nsm.nginx.com/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": names.MESH_CONFIG_NAME, "namespace": "nginx-mesh", "generation": 1},
        "spec": {"meshConfigClassName": "nginx-mesh-meshconfig-class"},
        "status": {},
    }
    configuration.take_mesh_config(Listed({Key("nginx-mesh", names.MESH_CONFIG_NAME): manifest}))
    configuration.native_sidecar = True
    return configuration


def webhooks(around: Surroundings = FULL) -> Webhooks:
    return Webhooks(configured(), around)


def question(operation: str, manifest: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, Any]:
    """An AdmissionRequest, as the API server writes it."""
    group, _, version = manifest["apiVersion"].partition("/")
    is_deletion = operation == "DELETE"
    return {
        "uid": "u",
        "kind": {"group": group, "version": version, "kind": manifest["kind"]},
        "operation": operation,
        "namespace": manifest["metadata"]["namespace"],
        "name": manifest["metadata"]["name"],
        "object": None if is_deletion else manifest,
        "oldObject": manifest if is_deletion else old,
    }


@pytest.mark.spec("7.webhook")
@pytest.mark.parametrize("manifest", ALL, ids=lambda manifest: manifest["kind"])
def test_every_kind_is_judged(manifest: dict[str, Any]) -> None:
    """A good policy passes; one that names another version than its kind has is refused with the field."""
    judge = webhooks().review_object
    assert judge(question("CREATE", manifest))["allowed"]
    wrong = changed(manifest, "metadata.annotations", "none")
    answer = judge(question("CREATE", wrong))
    assert (answer["allowed"], answer["status"]["code"]) == (False, 422)
    assert "metadata.annotations: got " in answer["status"]["message"]


@pytest.mark.spec("7.webhook")
def test_a_kind_of_another_group_is_not_ours() -> None:
    """Others have RateLimits, too."""
    foreign = changed(changed(LIMIT, "apiVersion", "ratelimit.example/v1"), "spec.rate", "often")
    assert webhooks().review_object(question("CREATE", foreign)) == {"allowed": True}


@pytest.mark.spec("7.webhook")
def test_refusals_name_field_value_and_rule() -> None:
    answer = webhooks().review_object(question("CREATE", changed(LIMIT, "spec.rate", "10r/h")))
    assert answer["status"]["message"] == 'spec.rate: got "10r/h", takes a number with r/s or r/m, such as 10r/s'


@pytest.mark.spec("7.webhook")
def test_updates_and_deletions_are_judged_by_both_objects() -> None:
    """Warnings reach the user; a deletion is never held up."""
    judge = webhooks().review_object
    assert not judge(question("UPDATE", changed(SPLIT, "spec.backends", []), SPLIT))["allowed"]
    answer = judge(question("DELETE", GROUP))
    assert answer["allowed"]
    assert any("TrafficTarget shop/reviews" in text for text in answer["warnings"])


@pytest.mark.spec("7.webhook")
def test_a_dry_run_is_answered_like_the_real_thing_and_nothing_happens() -> None:
    """Neither the question nor what is known of the cluster is another one afterwards."""
    hooks = webhooks()
    for operation, manifest in (("CREATE", SPLIT), ("CREATE", changed(LIMIT, "spec.rate", "0r/s")), ("DELETE", GROUP)):
        asked = question(operation, manifest) | {"dryRun": True}
        before = copy.deepcopy(asked)
        known = copy.deepcopy(FULL)
        first = hooks.review_object(asked)
        assert first == hooks.review_object(question(operation, manifest))
        assert (asked, known) == (before, FULL)


@pytest.mark.spec("7.webhook")
async def test_what_is_no_review_is_told_so() -> None:
    """Whatever comes, an answer goes back."""
    async with TestClient(TestServer(webhooks().application())) as client:
        for body in (b"", b"[]", b"{}", b"[" * 100_000, b'{"request": {"uid": [1]}}'):
            assert (await client.post(names.VALIDATE_PATH, data=body)).status in {200, 400}
        deep = '{"request": {"uid": "1", "kind": {"kind": "RateLimit", "group": "specs.smi.nginx.com"}, "object": %s}}'
        response = await client.post(names.VALIDATE_PATH, data=(deep % ('{"spec":' * 900 + "1" + "}" * 900)).encode())
        assert not (await response.json())["response"]["allowed"]


def calls(hooks: Webhooks, count: int) -> None:
    """*count* pods and policies, good and bad ones, each with a pattern of its own."""
    for number in range(count // 3):
        hooks.review_pod({"namespace": "shop", "object": copy.deepcopy(POD)})
        hooks.review_object(question("CREATE", changed(GROUP, "spec.matches.2.pathRegex", f"^/{number}/(a|b)+$")))
        hooks.review_object(question("CREATE", changed(without(LIMIT, "spec.rules"), "spec.rate", f"{number}r/h")))


@pytest.mark.parametrize("count", [600, pytest.param(10_000, marks=pytest.mark.soak)])
@pytest.mark.spec("7.webhook")
def test_memory_is_flat_over_many_calls(count: int) -> None:
    """What Python holds after as many calls again is what it held before, but for its own caches."""
    hooks = webhooks()
    calls(hooks, 600)
    tracemalloc.start()
    try:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        calls(hooks, count)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 256 << 10
