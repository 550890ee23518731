"""The provider as the engine sees it: its own process, spoken to by gRPC, on a real API server. Covers what would take
the engine minutes: every wait, refusals, previews with unknown values, cancellation."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc, status_pb2

from embedded.plugins.install import install
from embedded.plugins.kubernetes.properties import UNKNOWN, Secret, from_struct, has_unknown, to_struct
from embedded.plugins.kubernetes.quantities import canonical
from embedded.tools import paths
from tests.apiserver import ApiServer
from tests.plugins.workloads import Workloads

pytestmark = [pytest.mark.pulumi, pytest.mark.spec("10.plugins")]

_UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class NotReady(Exception):
    """The provider's partial failure: the object is there."""

    def __init__(self, detail: pb.ErrorResourceInitFailed) -> None:
        super().__init__("; ".join(detail.reasons))
        self.id, self.reasons, self.properties = detail.id, list(detail.reasons), from_struct(detail.properties)


class Client:
    """One provider process and the calls of an engine."""

    def __init__(self, directory: Path, kubeconfig: Path, **options: Any) -> None:
        home = directory / "home"
        install(paths.path_of("pulumi"), home, directory / "cache")
        program = home / "plugins" / "resource-kubernetes-v4.32.0" / "pulumi-resource-kubernetes"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_K8S")}
        self.process = subprocess.Popen(
            [program, "127.0.0.1:1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )
        assert self.process.stdout is not None
        self._channel = grpc.insecure_channel(f"127.0.0.1:{int(self.process.stdout.readline())}")
        self.stub: Any = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self.stub.Configure(pb.ConfigureRequest(args=to_struct({"kubeconfig": str(kubeconfig), **options})))

    def close(self) -> None:
        self._channel.close()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        assert self.process.wait(10) == 0, "the end of stdin is the engine's end"
        self.process.stdout.close()

    def check(self, item: dict[str, Any], olds: dict[str, Any] | None = None) -> Any:
        return self.stub.Check(pb.CheckRequest(urn=_urn(item), news=to_struct(item), olds=to_struct(olds or {})))

    def create(self, item: dict[str, Any], *, preview: bool = False, timeout: float = 0) -> dict[str, Any]:
        inputs = self.check(item).inputs
        request = pb.CreateRequest(urn=_urn(item), properties=inputs, preview=preview, timeout=timeout)
        return from_struct(_unpacked(lambda: self.stub.Create(request)).properties)

    def update(self, state: dict[str, Any], item: dict[str, Any], **given: Any) -> dict[str, Any]:
        inputs = self.check(item, state["__inputs"]).inputs
        request = pb.UpdateRequest(
            urn=_urn(item),
            id=_id(state),
            olds=to_struct(state),
            old_inputs=to_struct(state["__inputs"]),
            news=inputs,
            **given,
        )
        return from_struct(_unpacked(lambda: self.stub.Update(request)).properties)

    def diff(self, state: dict[str, Any], item: dict[str, Any], **given: Any) -> Any:
        inputs = self.check(item, state["__inputs"]).inputs
        return self.stub.Diff(
            pb.DiffRequest(
                urn=_urn(item), olds=to_struct(state), old_inputs=to_struct(state["__inputs"]), news=inputs, **given
            )
        )

    def read(self, state: dict[str, Any]) -> Any:
        request = pb.ReadRequest(
            urn=_urn(state), id=_id(state), properties=to_struct(state), inputs=to_struct(state["__inputs"])
        )
        return _unpacked(lambda: self.stub.Read(request))

    def delete(self, state: dict[str, Any], *, timeout: float = 0) -> None:
        self.stub.Delete(pb.DeleteRequest(urn=_urn(state), id=_id(state), properties=to_struct(state), timeout=timeout))


def _urn(item: dict[str, Any]) -> str:
    group, _, version = item["apiVersion"].rpartition("/")
    return f"urn:pulumi:s::p::kubernetes:{group or 'core'}/{version}:{item['kind']}::res"


def _id(state: dict[str, Any]) -> str:
    metadata = state["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else metadata["name"]


def _unpacked(call: Any) -> Any:
    try:
        return call()
    except grpc.RpcError as error:
        trailing: Any = error.trailing_metadata()
        for key, value in trailing or ():
            if key == "grpc-status-details-bin":
                detail = pb.ErrorResourceInitFailed()
                status_pb2.Status.FromString(value).details[0].Unpack(detail)
                raise NotReady(detail) from error
        raise


@pytest.fixture
def client(api_server: ApiServer, workloads: Workloads, space: str, tmp_path: Path) -> Iterator[Client]:
    workloads.hold.add(space)  # the tests play the controllers themselves
    found = Client(tmp_path, api_server.kubeconfig)
    yield found
    found.close()


def item(api_version: str, kind: str, space: str, name: str = "x", **members: Any) -> dict[str, Any]:
    annotations = members.pop("annotations", {})
    metadata = {"name": name, "namespace": space, **({"annotations": annotations} if annotations else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **members}


def later(seconds: float, action: Any) -> None:
    threading.Timer(seconds, action).start()


def test_quantities_are_spelled_as_the_server_spells_them(api_server: ApiServer, space: str) -> None:
    """The rules of this code against the rules of the API server, on the same texts."""
    texts = "0.01 1024Ki 1000 1500 1500m 2000m 0.5Gi 1.5Gi 128974848 129M 1e3 12E6 100e1 0 0Gi .5 5. 0.5Ki 1023 "
    texts += (
        "1E 1100Ki 1000Ki 1024 999999 1.1 2.50 0.1Mi 3e-3 1048576Ki 1000000m 7.0 007 1.500 12000E6 +3 100000Ki 8Ki 12Ki"
    )
    limit = {"type": "Container", "default": {f"example.com/x{i}": text for i, text in enumerate(texts.split())}}
    limits = {"metadata": {"name": "q"}, "spec": {"limits": [limit]}}
    answer = api_server.request("POST", f"/api/v1/namespaces/{space}/limitranges?dryRun=All", limits)
    spelled = answer["spec"]["limits"][0]["default"]
    assert {text: canonical(text) for text in texts.split()} == {
        text: spelled[f"example.com/x{i}"] for i, text in enumerate(texts.split())
    }


def test_a_preview_knows_what_it_cannot_know(client: Client, space: str) -> None:
    """What the server decides is unknown, defaults are known; an object that cannot be tried yet is given back."""
    service = item("v1", "Service", space, spec={"ports": [{"port": 80}], "selector": {"a": "b"}})
    foreseen = client.create(service, preview=True)
    assert foreseen["status"] == UNKNOWN
    assert foreseen["metadata"]["uid"] == UNKNOWN
    assert foreseen["spec"]["clusterIP"] == UNKNOWN
    assert foreseen["spec"]["type"] == "ClusterIP"
    assert foreseen["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    elsewhere = client.create(item("v1", "ConfigMap", "not-there-yet", data={"a": "1"}), preview=True)
    assert elsewhere["data"] == {"a": "1"}
    partly = item("v1", "ConfigMap", space, data={"a": _UNKNOWN_TEXT, "b": "1"})
    assert client.create(partly, preview=True)["data"] == {"a": UNKNOWN, "b": "1"}
    unregistered = client.create(item("none.example.com/v1", "None", space, spec={"a": 1}), preview=True)
    assert unregistered["spec"] == {"a": 1}
    with pytest.raises(grpc.RpcError, match="must be between 1 and 65535"):
        client.create(item("v1", "Service", space, spec={"ports": [{"port": 800000}]}), preview=True)


def test_a_secret_is_not_quoted_back(client: Client, space: str) -> None:
    hidden = Secret("Not A Name")
    pod = item("v1", "Pod", space, spec={"containers": [{"name": hidden, "image": "x"}]})
    inputs = client.check(pod).inputs
    assert from_struct(inputs)["spec"]["containers"] == Secret([{"name": "Not A Name", "image": "x"}])
    with pytest.raises(grpc.RpcError) as caught:
        client.create(pod)
    assert "Not A Name" not in str(caught.value)
    assert "[secret]" in str(caught.value)


def test_a_service_waits_for_its_endpoints(client: Client, api_server: ApiServer, space: str) -> None:
    """Endpoints that are not ready are waited for; no pod at all is ready, as officially; skipAwait waits for nothing."""
    base = f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices"
    entry = {
        "metadata": {"name": "hand", "labels": {"kubernetes.io/service-name": "x"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["198.18.7.1"], "conditions": {"ready": False}}],
        "ports": [{"port": 80}],
    }
    api_server.request("POST", base, entry)
    service = item("v1", "Service", space, spec={"ports": [{"port": 80}], "selector": {"a": "b"}})
    service["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "1"}
    with pytest.raises(NotReady, match="1 of its endpoints are not ready") as caught:
        client.create(service)
    assert caught.value.id == f"{space}/x"
    ready = {"endpoints": [{"addresses": ["198.18.7.1"], "conditions": {"ready": True}}]}
    service["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "20"}
    later(0.5, lambda: api_server.merge(f"{base}/hand", ready))
    state = client.update(caught.value.properties, service)
    assert state["spec"]["clusterIP"].startswith("198.19.240.")
    client.delete(state)
    client.delete(client.create(item("v1", "Service", space, "alone", spec=service["spec"])))


def test_waits_follow_the_annotations(client: Client, api_server: ApiServer, space: str) -> None:
    """skipAwait, timeoutSeconds, waitFor, and the resource's own timeout before the annotation's."""
    labels = {"a": "b"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template, "serviceName": "s"}
    skipped = item("apps/v1", "StatefulSet", space, "skipped", spec=spec, annotations={"pulumi.com/skipAwait": "true"})
    client.delete(client.create(skipped))
    slow = item("apps/v1", "StatefulSet", space, "slow", spec=spec, annotations={"pulumi.com/timeoutSeconds": "1"})
    with pytest.raises(NotReady, match="not ready after 1 s: no controller has looked at generation 1"):
        client.create(slow)
    annotated = {"pulumi.com/waitFor": "jsonpath={.data.ready}=yes", "pulumi.com/timeoutSeconds": "1"}
    settings = item("v1", "ConfigMap", space, "watched", data={"ready": "no"}, annotations=annotated)
    path = f"/api/v1/namespaces/{space}/configmaps/watched"
    threading.Thread(
        target=lambda: (api_server.wait_for(path), api_server.merge(path, {"data": {"ready": "yes"}}))
    ).start()
    assert client.create(settings, timeout=20)["data"] == {"ready": "yes"}


def test_failures_are_told_at_once(client: Client, api_server: ApiServer, space: str) -> None:
    """A failed job ends the wait and keeps the object; a refresh says it again."""
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}}
    path = f"/apis/batch/v1/namespaces/{space}/jobs/broken"
    moment = "2026-01-01T00:00:00Z"
    told = {
        "reason": "BackoffLimitExceeded",
        "message": "it failed twice",
        "status": "True",
        "lastTransitionTime": moment,
    }
    conditions = [{"type": "FailureTarget", **told}, {"type": "Failed", **told}]
    status = {"status": {"conditions": conditions, "startTime": moment}}

    def fail() -> None:
        api_server.wait_for(path)
        api_server.merge(path, status, subresource="status")

    threading.Thread(target=fail).start()
    with pytest.raises(NotReady, match="it failed twice") as caught:
        client.create(item("batch/v1", "Job", space, "broken", spec=spec))
    with pytest.raises(NotReady, match="it failed twice"):
        client.read(caught.value.properties)
    client.delete(caught.value.properties)


def test_a_definition_is_established_before_its_objects(client: Client, api_server: ApiServer, space: str) -> None:
    """A custom resource that comes too early waits for its definition; one without a definition is gone."""
    kind = f"Early{space.replace('-', '')}"
    plural, group = f"{kind.lower()}s", "early.example.com"
    schema = {"type": "object", "x_kubernetes_preserve_unknown_fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }
    made: list[dict[str, Any]] = []
    early = threading.Thread(target=lambda: made.append(client.create(item(f"{group}/v1", kind, space, spec={"a": 1}))))
    early.start()
    state = client.create(definition)
    early.join(30)
    assert made[0]["spec"] == {"a": 1}
    kept = state["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert kept["x_kubernetes_preserve_unknown_fields"] is True
    live = api_server.request("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{group}")
    assert live["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-preserve-unknown-fields"] is True
    assert client.diff(state, definition).changes == pb.DiffResponse.DIFF_NONE
    client.delete(state)
    deadline = time.monotonic() + 20
    while client.read(made[0]).id:
        assert time.monotonic() < deadline, "an object without a definition is gone"
    client.delete(made[0])


def test_deletion_names_what_holds_it_and_follows_the_policy(client: Client, api_server: ApiServer, space: str) -> None:
    held = item("v1", "ConfigMap", space, "held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    state = client.create(held)
    with pytest.raises(grpc.RpcError, match=r"held by its finalizers: .*example\.com/hold"):
        client.delete(state, timeout=1)
    api_server.merge(f"/api/v1/namespaces/{space}/configmaps/held", {"metadata": {"finalizers": None}})
    client.delete(state)
    client.delete(state)  # what is gone already is deleted
    orphaned = item("v1", "ConfigMap", space, "owner", annotations={"pulumi.com/deletionPropagationPolicy": "orphan"})
    owner = client.create(orphaned)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    owned = {"metadata": {"name": "owned", "ownerReferences": [reference]}}
    api_server.request("POST", f"/api/v1/namespaces/{space}/configmaps", owned)
    client.delete(owner)
    child = api_server.request("GET", f"/api/v1/namespaces/{space}/configmaps/owned")
    assert "ownerReferences" not in child["metadata"]


def test_cancel_ends_every_wait(client: Client, space: str) -> None:
    labels = {"a": "b"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template, "serviceName": "s"}
    later(1, lambda: client.stub.Cancel(empty_pb2.Empty()))
    begun = time.monotonic()
    with pytest.raises(NotReady, match="cancelled while waiting"):
        client.create(item("apps/v1", "StatefulSet", space, "s", spec=spec))
    assert time.monotonic() - begun < 10


def test_ignored_changes_stay_with_their_owner(client: Client, api_server: ApiServer, space: str) -> None:
    labels = {"a": "b"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    await_nothing = {"pulumi.com/skipAwait": "true"}
    state = client.create(item("apps/v1", "Deployment", space, "d", spec=spec, annotations=await_nothing))
    path = f"/apis/apps/v1/namespaces/{space}/deployments/d"
    changed = item("apps/v1", "Deployment", space, "d", spec={**spec, "paused": True}, annotations=await_nothing)
    state = client.update(state, changed, ignoreChanges=["spec.replicas"])
    api_server.merge(path, {"spec": {"replicas": 7}}, "scaler")
    changed["spec"]["paused"] = False
    state = client.update(state, changed, ignoreChanges=["spec.replicas"])
    assert api_server.request("GET", path)["spec"]["replicas"] == 7
    found = client.diff(state, item("apps/v1", "Deployment", space, "d", spec={**spec, "replicas": 2}, annotations=await_nothing), ignoreChanges=["spec.replicas"])  # fmt: skip
    assert "spec.replicas" not in found.detailedDiff


def test_what_is_not_supported_is_refused_by_name(client: Client, space: str) -> None:
    """Resource types, functions, components, provider options."""
    patch = {"apiVersion": "v1", "kind": "ConfigMapPatch", "metadata": {"name": "x", "namespace": space}}
    [failure] = client.check(patch).failures
    assert "kubernetes:core/v1:ConfigMapPatch" in failure.reason
    calls: tuple[Any, ...] = (
        lambda: client.stub.Invoke(pb.InvokeRequest(tok="kubernetes:helm:template")),
        lambda: client.stub.Construct(pb.ConstructRequest(type="kubernetes:helm.sh/v4:Chart")),
        lambda: client.stub.Call(pb.CallRequest(tok="kubernetes:x:y")),
    )
    for call in calls:
        with pytest.raises(grpc.RpcError, match=r"stand-in provider does not support .*kubernetes:"):
            call()
    checked = client.stub.CheckConfig(pb.CheckRequest(news=to_struct({"renderYamlToDirectory": "x", "odd": "y"})))
    assert [failure.property for failure in checked.failures] == ["odd", "renderYamlToDirectory"]
    with pytest.raises(grpc.RpcError, match="renderYamlToDirectory is not supported"):
        client.stub.Configure(pb.ConfigureRequest(args=to_struct({"renderYamlToDirectory": "x"})))


def test_another_cluster_replaces_everything(client: Client, api_server: ApiServer) -> None:
    """A new token is no new cluster; another server is; an identifier decides alone."""
    text = api_server.kubeconfig.read_text()
    kubeconfigs = [text, text.replace(api_server.token, "other"), text.replace("127.0.0.1", "198.18.0.9")]

    def difference(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
        request = pb.DiffRequest(olds=to_struct(old), news=to_struct(new))
        return list(client.stub.DiffConfig(request).replaces)

    assert difference({"kubeconfig": kubeconfigs[0]}, {"kubeconfig": kubeconfigs[1]}) == []
    assert difference({"kubeconfig": kubeconfigs[0]}, {"kubeconfig": kubeconfigs[2]}) == ["kubeconfig"]
    assert difference({"kubeconfig": kubeconfigs[0]}, {"kubeconfig": _UNKNOWN_TEXT}) == ["kubeconfig"]
    same = [{"kubeconfig": text, "clusterIdentifier": "a"} for text in (kubeconfigs[0], kubeconfigs[2])]
    assert difference(same[0], same[1]) == []
    assert difference(same[0], {**same[1], "clusterIdentifier": "b"}) == ["clusterIdentifier"]


def test_no_answer_is_not_gone(client: Client, api_server: ApiServer, space: str, tmp_path: Path) -> None:
    """Read and Delete fail while the server is away, unless deleteUnreachable says otherwise; 404 is gone."""
    state = client.create(item("v1", "ConfigMap", space, "kept"))
    away = tmp_path / "away"
    away.write_text(api_server.kubeconfig.read_text().replace(f":{api_server.port}", ":1"))
    cut_off = Client(tmp_path / "cut", away)
    with pytest.raises(grpc.RpcError, match="does not answer"):
        cut_off.read(state)
    with pytest.raises(grpc.RpcError, match="does not answer"):
        cut_off.delete(state)
    cut_off.close()
    forgetful = Client(tmp_path / "forgetful", away, deleteUnreachable="true")
    assert forgetful.read(state).id == ""
    forgetful.close()
    assert client.read(state).id == f"{space}/kept"
    client.delete(state)
    assert client.read(state).id == ""


def test_a_preview_without_a_cluster_gives_back_the_inputs(api_server: ApiServer, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.write_text(api_server.kubeconfig.read_text().replace(f":{api_server.port}", ":1"))
    cut_off = Client(tmp_path, away)
    foreseen = cut_off.create(item("v1", "ConfigMap", "somewhere", data={"a": "1"}), preview=True)
    assert foreseen["data"] == {"a": "1"}
    assert has_unknown(foreseen["metadata"])
    cut_off.close()
