"""What injection writes into a pod, and which pods it refuses (contract 5)."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mesh.admission import json_patch
from mesh.admission.inject import inject
from mesh.admission.owner import Owner
from mesh.admission.settings import InjectionSettings
from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.api.mtls import MtlsMode

GOLDEN = Path(__file__).parents[2] / "golden" / "injection"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml"))
SETTINGS = InjectionSettings(
    "registry.example/nginx-mesh-sidecar:1", "registry.example/nginx-mesh-init:1", version="1.0.0"
)
STRICT = InjectionSettings("s:1", "i:1", mtls_mode=MtlsMode.STRICT)


def pod(**fields: Any) -> dict[str, Any]:
    """A pod of one container; *fields* go into metadata (labels, annotations, ...) or spec."""
    metadata = {key: fields.pop(key) for key in ("labels", "annotations", "ownerReferences") if key in fields}
    return {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": "app:1"}]} | fields}


def ports(*rows: tuple[int, str]) -> dict[str, Any]:
    """A pod that declares ports."""
    declared = [{"containerPort": number, "protocol": protocol} for number, protocol in rows]
    return pod(containers=[{"name": "app", "image": "app:1", "ports": declared}])


def sidecar_of(injected: dict[str, Any]) -> dict[str, Any]:
    """The sidecar container, wherever it is."""
    spec = injected["spec"]
    found: list[dict[str, Any]] = [
        item for item in spec["initContainers"] + spec["containers"] if item["name"] == "nginx-mesh-sidecar"
    ]
    assert len(found) == 1
    return found[0]


def environment_of(container: dict[str, Any]) -> dict[str, str]:
    """The literal values of a container's environment."""
    return {row["name"]: row["value"] for row in container["env"] if "value" in row}


@pytest.mark.spec("5.containers")
@pytest.mark.parametrize("case", CASES)
def test_golden_injections(case: str) -> None:
    """Whole pods in and out, byte for byte where it counts: the same values in the same order."""
    before = yaml.safe_load((GOLDEN / f"{case}.in.yaml").read_text())
    expected = yaml.safe_load((GOLDEN / f"{case}.out.yaml").read_text())
    assert inject(before, "shop", SETTINGS).pod == expected


def test_golden_cases_are_found() -> None:
    """An empty directory would make the test above pass."""
    assert len(CASES) >= 4


@pytest.mark.spec("5.refused")
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (ports((80, "TCP"), (80, "TCP")), "80/TCP 2 times"),
        (ports((53, "UDP"), (53, "UDP")), "53/UDP 2 times"),
        (ports((7, "SCTP")), "7/SCTP"),
        (ports((8901, "TCP")), "8901/TCP"),
        (ports((8908, "UDP")), "8908/UDP"),
        (pod(hostNetwork=True), "hostNetwork"),
        (pod(securityContext={"runAsUser": 2102}), "runAsUser"),
        (pod(initContainers=[{"name": "first", "securityContext": {"runAsUser": 2102}}]), "container first, securityC"),
        (pod(dnsPolicy="Default"), 'spec.dnsPolicy: got "Default", takes the cluster\'s DNS'),
        (pod(os={"name": "windows"}), 'spec.os.name: got "windows", takes linux'),
        (pod(nodeSelector={"kubernetes.io/os": "windows"}), 'nodeSelector.kubernetes.io/os: got "windows"'),
        (pod(volumes=[{"name": "nginx-mesh-run", "emptyDir": {}}]), "spec.volumes, nginx-mesh-run: got another volume"),
        (pod(containers=[]), "at least one container"),
        (pod(annotations={"config.nsm.nginx.com/mtls-mode": "lax"}), '"lax", takes off, permissive, strict'),
        (pod(annotations={"config.nsm.nginx.com/client-max-body-size": "1x"}), '"1x"'),
        (pod(annotations={"config.nsm.nginx.com/default-egress-allowed": "yes"}), '"yes", takes true or false'),
        (pod(annotations={"injector.nsm.nginx.com/native-sidecar": "no"}), '"no"'),
    ],
)
def test_refused_with_a_reason(bad: dict[str, Any], reason: str) -> None:
    """A pod that cannot work in the mesh is refused, and the reason names what was wrong."""
    with pytest.raises(InvalidInputError) as refusal:
        inject(bad, "shop", SETTINGS)
    assert reason in str(refusal.value)


@pytest.mark.spec("5.refused")
@pytest.mark.parametrize("item", ["0", "65536", "", "1e3", "-1", "+80", "٨٠", "80 81", "0x50", "8_0"])
@pytest.mark.parametrize("direction", ["incoming", "outgoing"])
def test_bad_ports_in_an_annotation_are_named(item: str, direction: str) -> None:
    """Each wrong item of a port list is quoted with the list, also digits that are not ASCII."""
    name = f"config.nsm.nginx.com/ignore-{direction}-ports"
    with pytest.raises(InvalidInputError) as refusal:
        inject(pod(annotations={name: f"80,{item},81"}), "shop", SETTINGS)
    (problem,) = refusal.value.problems
    assert (problem.place, problem.got) == (f"annotation {name}", f'"{item}" in "80,{item},81"')


@pytest.mark.spec("5.refused")
def test_all_reasons_are_given_at_once() -> None:
    """Whoever repairs a manifest sees every fault in one try."""
    bad = ports((80, "TCP"), (80, "TCP"), (7, "SCTP"))
    bad["metadata"]["annotations"] = {
        "config.nsm.nginx.com/mtls-mode": "x",
        "config.nsm.nginx.com/client-max-body-size": "",
    }
    with pytest.raises(InvalidInputError) as refusal:
        inject(bad, "shop", SETTINGS)
    assert len(refusal.value.problems) == 4


@pytest.mark.spec("5.ports")
def test_one_number_for_tcp_and_udp_is_fine() -> None:
    """A DNS server declares 5353 twice."""
    assert inject(ports((5353, "TCP"), (5353, "UDP")), "shop", SETTINGS).changed


@pytest.mark.spec("5.ports")
def test_port_lists_take_blanks() -> None:
    """NSM's documents show lists with blanks; the init container gets them sorted, each once."""
    injected = inject(
        pod(annotations={"config.nsm.nginx.com/ignore-incoming-ports": " 9000, 80,80"}), "shop", SETTINGS
    ).pod
    assert injected["spec"]["initContainers"][0]["args"] == ["--ignore-incoming-ports=80,9000"]


@pytest.mark.spec("3.modes")
@pytest.mark.parametrize("mode", ["off", "Permissive"])
def test_a_mode_weaker_than_global_strict_is_refused(mode: str) -> None:
    """The reason names both values."""
    with pytest.raises(InvalidInputError, match="strict") as refusal:
        inject(pod(annotations={"config.nsm.nginx.com/mtls-mode": mode}), "shop", STRICT)
    assert mode.lower() in str(refusal.value)


@pytest.mark.spec("3.modes")
@pytest.mark.parametrize(
    ("settings", "own", "expected"),
    [
        (SETTINGS, None, "permissive"),
        (SETTINGS, "OFF", "off"),
        (SETTINGS, "strict", "strict"),
        (STRICT, None, "strict"),
        (STRICT, "strict", "strict"),
    ],
)
def test_the_sidecar_starts_in_the_effective_mode(settings: InjectionSettings, own: str | None, expected: str) -> None:
    """Until its first configuration a sidecar works as the mode at injection says."""
    annotations = {} if own is None else {"config.nsm.nginx.com/mtls-mode": own}
    injected = inject(pod(annotations=annotations), "shop", settings).pod
    assert environment_of(sidecar_of(injected))["MESH_MTLS_MODE"] == expected


@pytest.mark.spec("5.once")
def test_injecting_twice_is_injecting_once() -> None:
    """An injected pod, by hand or by webhook, is left as it is."""
    once = inject(pod(), "shop", SETTINGS).pod
    again = inject(once, "shop", STRICT)
    assert not again.changed
    assert again.pod == once


@pytest.mark.spec("5.once")
def test_the_status_label_alone_does_not_keep_a_pod_out() -> None:
    """A pod that only claims to be injected gets its sidecar."""
    claimed = pod(labels={"injector.nsm.nginx.com/status": "injected"})
    claimed["metadata"]["annotations"] = {"injector.nsm.nginx.com/status": "injected"}
    assert sidecar_of(inject(claimed, "shop", SETTINGS).pod)


@pytest.mark.spec("5.foreign")
def test_the_old_sidecar_of_nsm_is_refused_by_name() -> None:
    """A manifest that NSM's own injector wrote must be taken back to its source, not injected twice."""
    old = pod(annotations={"injector.nsm.nginx.com/status": "injected"})
    old["spec"]["containers"].append({"name": "nginx-mesh-sidecar", "image": "nsm:2"})
    with pytest.raises(InvalidInputError, match="NGINX Service Mesh"):
        inject(old, "shop", SETTINGS)


@pytest.mark.spec("5.labels")
@pytest.mark.parametrize(
    ("kind", "name", "labels", "expected"),
    [
        ("ReplicaSet", "web-5d9c8f", {"pod-template-hash": "5d9c8f"}, {"nsm.nginx.com/deployment": "web"}),
        ("ReplicaSet", "lonely", {}, {"nsm.nginx.com/replicaset": "lonely"}),
        ("StatefulSet", "db", {}, {"nsm.nginx.com/statefulset": "db"}),
        ("DaemonSet", "log", {}, {"nsm.nginx.com/daemonset": "log"}),
        ("Job", "backup-29123456", {}, {"nsm.nginx.com/job": "backup-29123456"}),
    ],
)
def test_the_parent_is_a_label(kind: str, name: str, labels: dict[str, str], expected: dict[str, str]) -> None:
    """Metrics are grouped by the workload that people know."""
    owner = [{"kind": kind, "name": name, "controller": True}]
    injected = inject(pod(labels=labels, ownerReferences=owner), "shop", SETTINGS).pod
    found = {key: value for key, value in injected["metadata"]["labels"].items() if key.startswith("nsm.nginx.com/")}
    assert found == expected


@pytest.mark.spec("5.labels")
def test_long_parent_names_are_cut_and_kept_whole_in_an_annotation() -> None:
    """A label value has 63 characters at most; the cut one stays unique."""
    name = "a" * 80
    metadata = inject(pod(), "shop", SETTINGS, Owner("Deployment", name)).pod["metadata"]
    label = metadata["labels"]["nsm.nginx.com/deployment"]
    assert len(label) == 63
    assert (
        label
        != inject(pod(), "shop", SETTINGS, Owner("Deployment", name + "b")).pod["metadata"]["labels"][
            "nsm.nginx.com/deployment"
        ]
    )
    assert metadata["annotations"]["nsm.nginx.com/deployment"] == name


@pytest.mark.spec("5.native")
@pytest.mark.parametrize(
    ("settings", "annotation"),
    [(SETTINGS, "false"), (InjectionSettings("s", "i", native_sidecar=False), None)],
)
def test_classic_sidecars_hold_the_application_back(settings: InjectionSettings, annotation: str | None) -> None:
    """Without native sidecars the proxy is the first container, and its hook waits until it serves."""
    annotations = {} if annotation is None else {"injector.nsm.nginx.com/native-sidecar": annotation}
    before = pod(annotations=annotations, initContainers=[{"name": "migrate", "image": "m:1"}])
    spec = inject(before, "shop", settings).pod["spec"]
    assert [item["name"] for item in spec["initContainers"]] == ["migrate", "nginx-mesh-init"]
    assert [item["name"] for item in spec["containers"]] == ["nginx-mesh-sidecar", "app"]
    assert "restartPolicy" not in spec["containers"][0]
    assert spec["containers"][0]["lifecycle"]["postStart"]["exec"]["command"]


@pytest.mark.spec("5.native")
def test_native_sidecars_run_before_the_other_init_containers() -> None:
    """An application's init container may use the network, through the mesh."""
    spec = inject(pod(initContainers=[{"name": "migrate", "image": "m:1"}]), "shop", SETTINGS).pod["spec"]
    assert [item["name"] for item in spec["initContainers"]] == ["nginx-mesh-init", "nginx-mesh-sidecar", "migrate"]
    assert spec["initContainers"][1]["restartPolicy"] == "Always"
    assert spec["initContainers"][1]["startupProbe"]["httpGet"] == {"path": "/ready", "port": 8887, "scheme": "HTTP"}


@pytest.mark.spec("5.default-container")
def test_the_default_container_is_the_application() -> None:
    """kubectl logs shows the application; an author's own choice stays."""
    key = "kubectl.kubernetes.io/default-container"
    classic = pod(annotations={"injector.nsm.nginx.com/native-sidecar": "false"})
    assert inject(classic, "shop", SETTINGS).pod["metadata"]["annotations"][key] == "app"
    assert inject(pod(annotations={key: "other"}), "shop", SETTINGS).pod["metadata"]["annotations"][key] == "other"


@pytest.mark.spec("5.probes")
@pytest.mark.parametrize("settings", [SETTINGS, STRICT])
def test_grpc_probes_stay_and_the_sidecar_knows_their_ports(settings: InjectionSettings) -> None:
    """Whatever the mode is now, it may be strict later."""
    probes = {
        "readinessProbe": {"grpc": {"port": 9000}},
        "livenessProbe": {"grpc": {"port": 9000, "service": "alive"}},
        "startupProbe": {"grpc": {"port": 9001}},
    }
    done = inject(pod(containers=[{"name": "app", "image": "a:1", **probes}]), "shop", settings)
    assert done.warnings == ()
    assert done.pod["spec"]["containers"][0].items() >= probes.items()
    rows = json.loads(environment_of(sidecar_of(done.pod))["MESH_PROBES"])
    assert [(row["scheme"], row["port"]) for row in rows] == [("GRPC", 9000), ("GRPC", 9001)]


@pytest.mark.spec("5.probes")
@pytest.mark.parametrize("settings", [SETTINGS, STRICT])
def test_a_tcp_probe_is_warned_about(settings: InjectionSettings) -> None:
    """It stays as it is, and the sidecar answers it: it no longer tells of the application."""
    probe = {"tcpSocket": {"port": 9000}}
    before = pod(containers=[{"name": "app", "image": "a:1", "livenessProbe": probe}])
    done = inject(before, "shop", settings)
    (warning,) = done.warnings
    assert "container app, livenessProbe" in warning
    assert done.pod["spec"]["containers"][0]["livenessProbe"] == probe


@pytest.mark.spec("5.jobs")
@pytest.mark.parametrize("kind", ["Job", "CronJob"])
def test_a_job_that_would_not_end_is_warned_about(kind: str) -> None:
    """An ordinary sidecar container outlives the Job's own; a native one ends with them."""
    classic = pod(annotations={"injector.nsm.nginx.com/native-sidecar": "false"})
    (warning,) = inject(classic, "shop", SETTINGS, Owner(kind, "nightly")).warnings
    assert "neither will the Job" in warning
    assert inject(classic, "shop", SETTINGS, Owner("Deployment", "web")).warnings == ()
    assert inject(pod(), "shop", SETTINGS, Owner(kind, "nightly")).warnings == ()


@pytest.mark.spec("9.gateways")
@pytest.mark.parametrize(("label", "routes"), [("enable-ingress", False), ("enable-egress", True)])
def test_gateways_get_the_socket_and_no_sidecar(label: str, routes: bool) -> None:
    """The Ingress Controller fetches its own SVID; injecting it twice changes nothing more."""
    gateway = pod(
        labels={f"nsm.nginx.com/{label}": "true"},
        containers=[{"name": "log", "image": "l:1"}, {"name": "nginx-ingress", "image": "n:1", "args": ["-v=3"]}],
    )
    after = inject(gateway, "ingress", STRICT).pod
    assert inject(after, "ingress", STRICT) == type(inject(after, "ingress", STRICT))(after, changed=False)
    assert after["metadata"]["labels"]["spiffe.io/spiffeid"] == "true"
    assert "initContainers" not in after["spec"]
    log, ingress = after["spec"]["containers"]
    assert log == {"name": "log", "image": "l:1"}
    expected = ["-v=3", "-spire-agent-address=/run/spire/sockets/agent.sock"]
    assert ingress["args"] == expected + (["-enable-internal-routes"] if routes else [])
    assert ingress["volumeMounts"] == [
        {"name": "spire-agent-socket", "mountPath": "/run/spire/sockets", "readOnly": True}
    ]


@pytest.mark.spec("5.containers")
def test_the_input_is_not_changed() -> None:
    """The caller still has the pod as it came."""
    before = yaml.safe_load((GOLDEN / "probes.in.yaml").read_text())
    text = json.dumps(before)
    inject(before, "shop", SETTINGS)
    assert json.dumps(before) == text


def apply(document: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """Apply a patch of add, replace and remove on objects, as RFC 6902 says."""
    after: dict[str, Any] = json.loads(json.dumps(document))
    for operation in operations:
        target: Any = after
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        for part in parents:
            target = target[part]
        if operation["op"] == "remove":
            del target[last]
        else:
            assert (last in target) == (operation["op"] == "replace")
            target[last] = operation["value"]
    return after


@pytest.mark.spec("5.webhook")
@pytest.mark.parametrize("case", CASES)
def test_the_patch_makes_the_injected_pod(case: str) -> None:
    """What the webhook answers turns the one into the other."""
    before = yaml.safe_load((GOLDEN / f"{case}.in.yaml").read_text())
    after = inject(before, "shop", SETTINGS).pod
    assert apply(before, json_patch.difference(before, after)) == after


def test_patch_paths_are_escaped() -> None:
    """Keys with slashes and tildes are pointers, not paths."""
    operations = json_patch.difference({"a": {"x/y~z": 1, "gone": 2}}, {"a": {"x/y~z": 3}})
    assert operations == [
        {"op": "remove", "path": "/a/gone"},
        {"op": "replace", "path": "/a/x~1y~0z", "value": 3},
    ]


@pytest.mark.spec("10.registry", "5.once")
def test_an_injected_pod_pulls_with_the_registrys_credentials() -> None:
    """Beside those that it names itself, once; without credentials there is nothing to name."""
    given = {
        "metadata": {},
        "spec": {"containers": [{"name": "a", "image": "a:1"}], "imagePullSecrets": [{"name": "own"}]},
    }
    settings = InjectionSettings("s:1", "i:1", pull_secret=names.REGISTRY_SECRET)
    done = inject(given, "shop", settings).pod
    assert done["spec"]["imagePullSecrets"] == [{"name": "own"}, {"name": names.REGISTRY_SECRET}]
    bare = inject(
        {**given, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}, "shop", InjectionSettings("s:1", "i:1")
    ).pod
    assert "imagePullSecrets" not in bare["spec"]
