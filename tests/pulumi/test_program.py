"""The components with Pulumi's own test monitor: what reaches the engine is what the manifests say, in a safe order."""

import base64
import json
from typing import Any

import pulumi
import pytest
from google.protobuf import json_format
from pulumi.runtime import mocks as pulumi_mocks

from components import controller_objects, mesh, spire_server_objects
from components.custom_resources import ClusterAccess
from mesh.api import crd, kinds, names
from stacks import loading, wiring

PASSWORD = "hunter2"
STACK = {
    "registry": json.dumps({"server": "r.example/m", "credentials": {"username": "u", "password": PASSWORD}}),
    "mtls": '{"persistentStorage": "on"}',
}
SECRET_MARK = "4dabf18193072939515e22adb298388d"  # Pulumi's signature of a special value


class Echo(pulumi.runtime.Mocks):
    """Every resource gets its inputs as its state."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        return args.name, args.inputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program calls {args.token}")


class Monitor(pulumi_mocks.MockMonitor):
    """Keeps the registrations as the engine would get them."""

    def __init__(self) -> None:
        super().__init__(Echo())
        self.requests: list[Any] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  # the name of the RPC
        self.requests.append(request)
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


class Registered:
    """The registrations of one run, by kind and name."""

    def __init__(self, requests: list[Any]) -> None:
        found = [one for one in requests if one.type.startswith("kubernetes:")]
        self.by_name = {(one.type.rsplit(":", 1)[1], one.name): one for one in found}
        self.order = [one.name for one in found]
        self.components = [one.name for one in requests if one.type.startswith("nginx-mesh:components:")]
        self.text = "\n".join(str(one) for one in requests)

    def inputs(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json_format.MessageToDict(self.by_name[kind, name].object)
        return found

    def needs(self, kind: str, name: str) -> set[str]:
        """Names of what an object waits for, directly or through others."""
        found: set[str] = set()
        for urn in self.by_name[kind, name].dependencies:
            type_, other = urn.split("::")[2].rsplit("$", 1)[-1].rsplit(":", 1)[1], urn.rsplit("::", 1)[1]
            found |= {other} | self.needs(type_, other)
        return found


@pytest.fixture(scope="module")
def registered() -> Registered:
    monitor = Monitor()
    pulumi_mocks.set_mocks(Echo(), project="nginx-mesh", stack="unit", preview=False, monitor=monitor)
    args = wiring.mesh_args(loading.parse(STACK, {"registry"}), ClusterAccess())
    pulumi.runtime.test(lambda: mesh.Mesh("mesh", args).urn)()  # type: ignore[no-untyped-call]
    return Registered(monitor.requests)


@pytest.mark.spec("10.components")
def test_each_part_is_a_component(registered: Registered) -> None:
    assert set(registered.components) == {
        "mesh", "foundation", "custom-resources", "spire-server", "spire-agent", "identities", "nats", "controller",
    }  # fmt: skip


@pytest.mark.spec("2.labels")
def test_every_object_carries_the_mesh_label(registered: Registered) -> None:
    for (kind, name), request in registered.by_name.items():
        labels = json_format.MessageToDict(request.object)["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "nginx-service-mesh", f"{kind} {name}"


def test_manifests_reach_the_engine_as_they_are(registered: Registered) -> None:
    """The SDK translates names of members; a schema with a member it mistook for its own would be damaged."""
    for kind in kinds.ALL_KINDS:
        expected = json.loads(json.dumps(crd.definition(kind)))
        assert registered.inputs("CustomResourceDefinition", kind.name)["spec"] == expected["spec"]
    args = wiring.mesh_args(loading.parse(STACK, {"registry"}), ClusterAccess())
    for manifest in (
        spire_server_objects.workload(args.spire_server),
        controller_objects.workload(args.controller.spec),
        controller_objects.access(args.controller.spec)[1],
        controller_objects.config(names.DEFAULT_NAMESPACE, args.controller.settings),
    ):
        found = registered.inputs(manifest["kind"], manifest["metadata"]["name"])
        for key in set(manifest) - {"apiVersion", "kind"}:
            assert _claims_without_kind(found[key]) == _claims_without_kind(json.loads(json.dumps(manifest[key])))


def _claims_without_kind(value: Any) -> Any:
    """The SDK adds kind and apiVersion to claim templates; Kubernetes does, too."""
    if isinstance(value, dict):
        return {key: _claims_without_kind(one) for key, one in value.items() if key not in {"kind", "apiVersion"}}
    return [_claims_without_kind(one) for one in value] if isinstance(value, list) else value


@pytest.mark.spec("10.secrets")
def test_credentials_are_secret_and_stand_nowhere_else(registered: Registered) -> None:
    data = registered.inputs("Secret", "nginx-mesh-registry-key")["data"]
    assert data[SECRET_MARK] == "1b47061264138c4ac30d75fd1eb44270"
    encoded = data["value"][".dockerconfigjson"]
    assert PASSWORD in base64.b64decode(encoded).decode()
    assert PASSWORD not in registered.text
    holders = [name for (_, name), one in registered.by_name.items() if encoded in str(one)]
    assert holders == ["nginx-mesh-registry-key"]


@pytest.mark.spec("10.destroy")
def test_only_definitions_outlive_the_stack(registered: Registered) -> None:
    retained = {key for key, one in registered.by_name.items() if one.retainOnDelete}
    assert retained == {("CustomResourceDefinition", kind.name) for kind in kinds.ALL_KINDS}


def test_what_others_write_is_not_the_programs(registered: Registered) -> None:
    """Bundle, running configuration, CA bundles and lives of SVIDs belong to SPIRE or the controller: no drift."""
    ignored = {key: list(one.ignoreChanges) for key, one in registered.by_name.items() if one.ignoreChanges}
    assert ignored == {
        ("ConfigMap", "spire-bundle"): ["data"],
        ("ConfigMap", "meshconfig"): ["data"],
        ("ClusterSPIFFEID", "nginx-mesh-controller"): ["spec.ttl"],
        ("ClusterSPIFFEID", "nats-server"): ["spec.ttl"],
        ("ClusterSPIFFEID", "nginx-mesh-parts"): ["spec.ttl"],
        ("ClusterSPIFFEID", "nginx-mesh-workloads"): ["spec.ttl"],
        ("MutatingWebhookConfiguration", names.MUTATING_WEBHOOK): ca_bundles(4),
        ("ValidatingWebhookConfiguration", names.VALIDATING_WEBHOOK): ca_bundles(5),
    }
    for kind, name in (("ConfigMap", "spire-bundle"), ("ConfigMap", "meshconfig")):
        assert "data" not in registered.inputs(kind, name)


def ca_bundles(webhooks: int) -> list[str]:
    return [f"webhooks[{index}].clientConfig.caBundle" for index in range(webhooks)]


@pytest.mark.spec("10.order")
def test_identity_comes_before_the_bus_and_webhooks_come_last(registered: Registered) -> None:
    """On the way down the order turns round: no pod waits for a webhook whose controller is gone.

    The guard of the MeshConfig goes first, then the MeshConfig, while everything that makes sidecars transparent lives.
    """
    agent = registered.needs("DaemonSet", "spire-agent")
    assert {"spire-server", "nginx-mesh"} <= agent
    bus = registered.needs("Deployment", "nats-server")
    assert {"spire-agent", "nginx-mesh-workloads", "clusterspiffeids.spire.spiffe.io"} <= bus
    controller = registered.needs("Deployment", "nginx-mesh-controller")
    assert {"nats-server", "meshconfig"} <= controller
    injector = registered.needs("MutatingWebhookConfiguration", names.MUTATING_WEBHOOK)
    assert {"nginx-mesh-controller", "nginx-mesh-webhook"} <= injector
    config = registered.needs("MeshConfig", names.MESH_CONFIG_NAME)
    everything = {"nats-server", "spire-agent", "spire-server", "nginx-mesh-controller"}
    assert everything | {names.MUTATING_WEBHOOK, names.mesh_config_class("nginx-mesh")} <= config
    assert names.MESH_CONFIG_NAME in registered.needs("ValidatingWebhookConfiguration", names.VALIDATING_WEBHOOK)
