"""The manifests of the mesh: names, labels, ports, users and rights of the contract, without Pulumi."""

from collections.abc import Iterator
from typing import Any

import pytest

from components import (
    controller_objects,
    identity_objects,
    image_roles,
    nats_objects,
    registry_objects,
    spire_agent_objects,
    spire_server_objects,
    webhook_objects,
)
from components.custom_resources import ClusterAccess
from components.manifest import Manifest
from components.mesh import MeshArgs
from mesh.api import names
from stacks import loading, wiring


def mesh_args(**given: str) -> MeshArgs:
    stack = {"registry": '{"server": "registry.example/mesh"}', "mtls": '{"persistentStorage": "on"}'} | given
    return wiring.mesh_args(loading.parse(stack, {"registry"}), ClusterAccess())


def workloads(args: MeshArgs) -> dict[str, Manifest]:
    found = (
        spire_server_objects.workload(args.spire_server),
        spire_agent_objects.workload(args.spire_agent),
        nats_objects.workload(args.nats),
        controller_objects.workload(args.controller.spec),
    )
    return {one["metadata"]["name"]: one for one in found}


def pod(workload: Manifest) -> dict[str, Any]:
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def containers(workload: Manifest) -> Iterator[dict[str, Any]]:
    yield from pod(workload).get("initContainers", [])
    yield from pod(workload)["containers"]


WORKLOADS = workloads(mesh_args())


@pytest.mark.spec("2.objects")
def test_parts_and_containers_have_their_names() -> None:
    """Written out from the table of contract 2."""
    assert {
        f"{one['kind']}/{name}": [container["name"] for container in containers(one)] for name, one in WORKLOADS.items()
    } == {
        "StatefulSet/spire-server": ["spire-server", "k8s-workload-registrar"],
        "DaemonSet/spire-agent": ["spire-agent-init", "spire-agent"],
        "Deployment/nats-server": ["nginx-mesh-cert-reloader-init", "nats-server", "nginx-mesh-cert-reloader"],
        "Deployment/nginx-mesh-controller": ["nginx-mesh-controller"],
    }


@pytest.mark.spec("2.objects")
def test_services_have_their_ports() -> None:
    services = [
        *spire_server_objects.services("m"),
        nats_objects.service("m"),
        *controller_objects.services("m"),
    ]
    ports = {one["metadata"]["name"]: [port["port"] for port in one["spec"]["ports"]] for one in services}
    assert ports == {
        "spire-server": [8081],
        "k8s-workload-registrar": [443],
        "nats-server": [4222, 8222],
        "nginx-mesh-controller": [8082],
        "nginx-mesh-webhook": [443],
    }
    headless = [one["metadata"]["name"] for one in services if one["spec"].get("clusterIP") == "None"]
    assert headless == ["nats-server"]


@pytest.mark.spec("2.objects")
def test_each_service_selects_the_pods_of_its_part_and_finds_its_ports() -> None:
    parts = {
        names.SPIRE_SERVER: spire_server_objects.services("m"),
        names.NATS_SERVER: [nats_objects.service("m")],
        names.CONTROLLER: controller_objects.services("m"),
    }
    for part, services in parts.items():
        template = WORKLOADS[part]["spec"]["template"]
        declared = {port["name"] for one in containers(WORKLOADS[part]) for port in one.get("ports", [])}
        for service in services:
            assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= declared


@pytest.mark.spec("2.users")
def test_no_process_has_more_than_it_needs() -> None:
    """Our images run as 2102, SPIRE's server as 1000, its agents as root without a capability."""
    users = {}
    for name, one in WORKLOADS.items():
        for container in containers(one):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            whole = pod(one).get("securityContext", {}) | security
            users[f"{name}/{container['name']}"] = whole["runAsUser"]
    assert users == {
        "spire-server/spire-server": 1000,
        "spire-server/k8s-workload-registrar": 1000,
        "spire-agent/spire-agent-init": 2102,
        "spire-agent/spire-agent": 0,
        "nats-server/nginx-mesh-cert-reloader-init": 2102,
        "nats-server/nats-server": 2102,
        "nats-server/nginx-mesh-cert-reloader": 2102,
        "nginx-mesh-controller/nginx-mesh-controller": 2102,
    }


def test_certificates_and_keys_of_the_bus_stay_in_memory() -> None:
    volumes = {one["name"]: one for one in pod(WORKLOADS["nats-server"])["volumes"]}
    assert volumes["tls"]["emptyDir"] == {"medium": "Memory"}


@pytest.mark.spec("2.spire-server")
def test_without_persistent_storage_the_server_is_a_deployment_that_is_never_twice() -> None:
    server = workloads(mesh_args(mtls='{"persistentStorage": "off"}'))["spire-server"]
    assert (server["kind"], server["spec"]["strategy"]) == ("Deployment", {"type": "Recreate"})
    assert "volumeClaimTemplates" not in server["spec"]
    claim = WORKLOADS["spire-server"]["spec"]["volumeClaimTemplates"][0]
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"


def test_new_configuration_rolls_the_pods_that_read_it() -> None:
    """A ConfigMap's name follows its content, so the pod template changes with it, and with nothing else."""
    before, after = mesh_args(), mesh_args(mtls='{"persistentStorage": "on", "caTTL": "48h"}')
    changed = {name for name, one in workloads(after).items() if one != WORKLOADS[name]}
    assert changed == {"spire-server"}
    assert (
        spire_server_objects.config_map(before.spire_server)["metadata"]["name"]
        != spire_server_objects.config_map(after.spire_server)["metadata"]["name"]
    )


def test_a_changed_mode_changes_no_workload() -> None:
    """Run-time settings go to MeshConfig alone: no pod restarts for them."""
    after = mesh_args(
        mtls='{"persistentStorage": "on", "mode": "strict", "svidTTL": "2m"}',
        clientMaxBodySize="0",
        nginxLBMethod="random",
    )
    assert workloads(after) == WORKLOADS
    assert after.controller.settings != mesh_args().controller.settings


@pytest.mark.spec("3.registration")
def test_identities_select_every_pod_once() -> None:
    found = identity_objects.identities("nginx-mesh", "cluster.local")

    def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
        wanted = selector.get("matchLabels", {})
        conditions = selector.get("matchExpressions", [])
        assert all(one["operator"] == "NotIn" for one in conditions)
        return wanted.items() <= labels.items() and all(
            labels.get(one["key"]) not in one["values"] for one in conditions
        )

    def selected(namespace: str, labels: dict[str, str]) -> list[str]:
        namespace_labels = {"kubernetes.io/metadata.name": namespace}
        return [
            one["metadata"]["name"]
            for one in found
            if matches(one["spec"]["namespaceSelector"], namespace_labels)
            and matches(one["spec"]["podSelector"], labels)
        ]

    marked = {"spiffe.io/spiffeid": "true"}
    assert selected("shop", marked) == ["nginx-mesh-workloads"]
    assert selected("shop", marked | {"app.kubernetes.io/name": "nats-server"}) == ["nginx-mesh-workloads"]
    assert selected("nginx-mesh", marked) == ["nginx-mesh-parts"]
    assert selected("nginx-mesh", marked | {"app.kubernetes.io/name": "nats-server"}) == ["nats-server"]
    controller = marked | {"app.kubernetes.io/name": "nginx-mesh-controller"}
    assert selected("nginx-mesh", controller) == ["nginx-mesh-controller"]
    assert selected("shop", {}) == selected("kube-system", marked) == []


@pytest.mark.spec("3.registration")
def test_identities_have_the_names_of_the_contract() -> None:
    found = {one["metadata"]["name"]: one["spec"] for one in identity_objects.identities("m", "corp.example")}
    for spec in found.values():
        assert spec["spiffeIDTemplate"] == (
            "spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}"
        )
        assert spec["dnsNameTemplates"][:2] == [
            "{{ .PodMeta.Name }}",
            "{{ .PodSpec.ServiceAccountName }}.{{ .PodMeta.Namespace }}.svc",
        ]
        assert "ttl" not in spec
    assert found["nginx-mesh-workloads"]["dnsNameTemplates"][2:] == ["bus.m.internal"]
    assert found["nginx-mesh-workloads"]["autoPopulateDNSNames"] is True
    assert {"nginx-mesh-webhook.m.svc", "nginx-mesh-controller.m.svc"} <= set(
        found["nginx-mesh-controller"]["dnsNameTemplates"]
    )
    assert {"nats-server.m.svc", "nats-server.m.svc.corp.example"} <= set(found["nats-server"]["dnsNameTemplates"])
    assert "bus.m.internal" not in str(found["nginx-mesh-controller"]) + str(found["nats-server"])


@pytest.mark.spec("5.webhook")
@pytest.mark.parametrize(
    ("namespace", "namespace_label", "pod_labels", "asked"),
    [
        ("shop", "enabled", {}, 1),
        ("shop", "enabled", {"injector.nsm.nginx.com/auto-inject": "enabled"}, 1),
        ("shop", "enabled", {"injector.nsm.nginx.com/auto-inject": "disabled"}, 0),
        ("shop", "enabled", {"injector.nsm.nginx.com/status": "injected"}, 0),
        ("shop", "disabled", {"injector.nsm.nginx.com/auto-inject": "enabled"}, 1),
        ("shop", None, {"injector.nsm.nginx.com/auto-inject": "enabled"}, 1),
        ("shop", None, {}, 0),
        ("shop", "disabled", {}, 0),
        ("kube-system", "enabled", {"injector.nsm.nginx.com/auto-inject": "enabled"}, 0),
        ("kube-node-lease", "enabled", {}, 0),
        ("nginx-mesh", "enabled", {"injector.nsm.nginx.com/auto-inject": "enabled"}, 0),
        ("edge", None, {"nsm.nginx.com/enable-ingress": "true"}, 1),
        ("edge", None, {"nsm.nginx.com/enable-egress": "true"}, 1),
        ("edge", None, {"nsm.nginx.com/enable-ingress": "true", "nsm.nginx.com/enable-egress": "true"}, 1),
        ("shop", "enabled", {"nsm.nginx.com/enable-ingress": "true"}, 1),
        (
            "shop",
            "enabled",
            {"nsm.nginx.com/enable-egress": "true", "injector.nsm.nginx.com/auto-inject": "disabled"},
            1,
        ),
        ("kube-system", None, {"nsm.nginx.com/enable-ingress": "true"}, 0),
    ],
)
def test_the_injector_is_asked_about_these_pods_only_and_once(
    namespace: str, namespace_label: str | None, pod_labels: dict[str, str], asked: int
) -> None:
    labels = {"kubernetes.io/metadata.name": namespace}
    if namespace_label:
        labels["injector.nsm.nginx.com/auto-inject"] = namespace_label

    def matches(selector: dict[str, Any], given: dict[str, str]) -> bool:
        fits = bool(selector.get("matchLabels", {}).items() <= given.items())
        for one in selector.get("matchExpressions", []):
            assert one["operator"] == "NotIn"
            fits = fits and given.get(one["key"]) not in one["values"]
        return fits

    hooks = webhook_objects.injector("nginx-mesh", "Fail")["webhooks"]
    found = [
        one["name"]
        for one in hooks
        if matches(one["namespaceSelector"], labels) and matches(one["objectSelector"], pod_labels)
    ]
    assert len(found) == asked


@pytest.mark.spec("5.webhook")
def test_the_webhooks_have_the_settings_of_the_contract() -> None:
    injector, validator = webhook_objects.injector("m", "Ignore"), webhook_objects.validator("m")
    assert injector["metadata"]["name"] == "sidecar-injector-webhook-cfg.internal.builtin.nsm.nginx"
    assert validator["metadata"]["name"] == "validating-webhook-cfg.internal.builtin.nsm.nginx"
    for configuration in (injector, validator):
        assert configuration["metadata"]["labels"]["spiffe.io/webhook"] == "true"
        for one in configuration["webhooks"]:
            assert (one["timeoutSeconds"], one["sideEffects"]) == (5, "None")
            assert "caBundle" not in one["clientConfig"]
            assert one["clientConfig"]["service"]["name"] == "nginx-mesh-webhook"
    assert {one["failurePolicy"] for one in injector["webhooks"]} == {"Ignore"}
    assert {one["clientConfig"]["service"]["path"] for one in injector["webhooks"]} == {"/inject"}
    assert {one["clientConfig"]["service"]["path"] for one in validator["webhooks"]} == {"/validate"}


@pytest.mark.spec("7.webhook")
def test_policies_of_every_namespace_are_judged_in_every_version() -> None:
    """A change waits for the judge, as in NSM; what goes does not: a namespace could never end without the controller."""
    own = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["m"]}]}
    found = [
        (
            {rule["resources"][0] for rule in one["rules"]},
            {operation for rule in one["rules"] for operation in rule["operations"]},
            one["failurePolicy"],
            one["namespaceSelector"],
        )
        for one in webhook_objects.validator("m")["webhooks"]
    ]
    policies = {
        "trafficsplits", "traffictargets", "httproutegroups", "tcproutes", "ratelimits", "circuitbreakers",
    }  # fmt: skip
    assert found == [
        (policies, {"CREATE", "UPDATE"}, "Fail", {}),
        (policies, {"DELETE"}, "Ignore", {}),
        ({"meshconfigs"}, {"CREATE", "UPDATE"}, "Fail", own),
        ({"meshconfigs"}, {"DELETE"}, "Ignore", own),
        ({"services", "namespaces"}, {"CREATE", "UPDATE"}, "Ignore", {}),
    ]
    rules = [rule for one in webhook_objects.validator("m")["webhooks"][:4] for rule in one["rules"]]
    assert {version for rule in rules for version in rule["apiVersions"]} == {"*"}


@pytest.mark.spec("10.registry")
def test_images_come_from_where_the_stack_says() -> None:
    source = image_roles.Source("registry.example/mesh", "1.2", disable_public_images=False, overrides={})
    assert image_roles.reference(names.SIDECAR, source) == "registry.example/mesh/nginx-mesh-sidecar:1.2"
    assert image_roles.reference(names.SPIRE_SERVER, source).startswith("ghcr.io/spiffe/spire-server:")
    private = image_roles.Source("registry.example/mesh", "1.2", disable_public_images=True, overrides={})
    upstream = image_roles.ROLES[names.SPIRE_SERVER].upstream
    assert image_roles.reference(names.SPIRE_SERVER, private) == "registry.example/mesh/" + upstream.rsplit("/", 1)[1]
    chosen = image_roles.Source("", "1.2", disable_public_images=True, overrides={names.SPIRE_SERVER: "mine:1"})
    assert image_roles.reference(names.SPIRE_SERVER, chosen) == "mine:1"


@pytest.mark.spec("10.registry")
def test_the_registrys_secret_is_what_kubernetes_pulls_with() -> None:
    password = registry_objects.Credentials("registry.example:5000/mesh", username="u", password="p")
    assert registry_objects.docker_config(password) == (
        '{"auths":{"registry.example:5000":{"auth":"dTpw","password":"p","username":"u"}}}'
    )
    key = registry_objects.Credentials("registry.example", key='{"k":1}')
    assert '"username":"_json_key"' in registry_objects.docker_config(key)
    assert repr(password) == "Credentials(server='registry.example:5000/mesh')"


def test_with_credentials_every_pod_pulls_with_them() -> None:
    registry = '{"server": "r.example", "credentials": {"username": "u", "password": "p"}}'
    args = mesh_args(registry=registry)
    accounts = [
        spire_server_objects.access(args.spire_server)[0],
        spire_agent_objects.access(args.spire_agent)[0],
        nats_objects.service_account(args.nats),
        controller_objects.access(args.controller.spec)[0],
    ]
    assert all(one["imagePullSecrets"] == [{"name": "nginx-mesh-registry-key"}] for one in accounts)
    assert "imagePullSecrets" not in nats_objects.service_account(mesh_args().nats)
