"""What injection makes of the parts of a pod that its author wrote: probes, hooks, grace, volumes, users (contract 5)."""

import json

import pytest

from mesh.admission.inject import inject
from mesh.sidecar import settings as sidecar_settings
from tests.unit.admission.test_inject import SETTINGS, STRICT, environment_of, pod, sidecar_of


@pytest.mark.spec("5.probes", "5.hooks")
@pytest.mark.parametrize("place", ["containers", "native sidecar"])
def test_every_http_request_of_the_kubelet_goes_to_the_sidecar(place: str) -> None:
    """Three probes and two hooks, by name or number of their ports, of containers and of native sidecars."""
    http = {"httpGet": {"path": "/x", "port": "web"}}
    https = {"httpGet": {"path": "/y?z", "port": 8443, "scheme": "HTTPS"}}
    kinds = {"livenessProbe": http, "readinessProbe": https | {"periodSeconds": 7}, "startupProbe": http}
    hooks = {"postStart": http, "preStop": https}
    asked = {"name": "one", "ports": [{"name": "web", "containerPort": 8080}], "lifecycle": hooks, **kinds}
    before = (
        pod(containers=[asked]) if place == "containers" else pod(initContainers=[{**asked, "restartPolicy": "Always"}])
    )
    done = inject(before, "shop", STRICT)
    found = done.pod["spec"]["containers" if place == "containers" else "initContainers"][-1]
    actions = {
        **{key: found[key]["httpGet"] for key in kinds},
        **{key: found["lifecycle"][key]["httpGet"] for key in hooks},
    }
    assert {key: (row["path"], row["port"]) for key, row in actions.items()} == {
        "livenessProbe": ("/health-redirects/one/liveness", 8895),
        "readinessProbe": ("/health-redirects/one/readiness", 8896),
        "startupProbe": ("/health-redirects/one/startup", 8895),
        "postStart": ("/health-redirects/one/poststart", 8895),
        "preStop": ("/health-redirects/one/prestop", 8896),
    }
    assert found["readinessProbe"]["periodSeconds"] == 7
    rows = json.loads(environment_of(sidecar_of(done.pod))["MESH_PROBES"])
    assert [(row["location"].rpartition("/")[2], row["scheme"], row["port"], row["path"]) for row in rows] == [
        ("liveness", "HTTP", 8080, "/x"),
        ("readiness", "HTTPS", 8443, "/y?z"),
        ("startup", "HTTP", 8080, "/x"),
        ("poststart", "HTTP", 8080, "/x"),
        ("prestop", "HTTPS", 8443, "/y?z"),
    ]


@pytest.mark.spec("5.probes", "5.hooks")
def test_what_is_no_http_request_to_the_pod_stays() -> None:
    """Hooks that run a command or sleep, hooks and probes of another host; and nothing is written for them."""
    container = {
        "name": "app",
        "lifecycle": {"postStart": {"exec": {"command": ["true"]}}, "preStop": {"sleep": {"seconds": 3}}},
        "livenessProbe": {"exec": {"command": ["true"]}},
        "readinessProbe": {"httpGet": {"host": "elsewhere.example", "port": 80}},
    }
    elsewhere = {"name": "two", "lifecycle": {"preStop": {"httpGet": {"host": "1.2.3.4", "port": 80}}}}
    done = inject(pod(containers=[container, elsewhere]), "shop", STRICT)
    assert done.pod["spec"]["containers"] == [container, elsewhere]
    assert "MESH_PROBES" not in environment_of(sidecar_of(done.pod))


@pytest.mark.spec("6.drain")
@pytest.mark.parametrize(
    ("grace", "expected"),
    [(None, None), (30, None), (120, "115"), (10, "5"), (3, "1"), (0, "1"), (10_000_000, "86400")],
)
@pytest.mark.parametrize("native", ["true", "false"])
def test_a_drain_may_take_what_the_pod_has(native: str, grace: int | None, expected: str | None) -> None:
    """An application with a longer grace keeps its sidecar to the end of it; 30 s is the default of both."""
    before = pod(annotations={"injector.nsm.nginx.com/native-sidecar": native})
    if grace is not None:
        before["spec"]["terminationGracePeriodSeconds"] = grace
    given = environment_of(sidecar_of(inject(before, "shop", SETTINGS).pod))
    assert given.get("MESH_DRAIN_SECONDS") == expected
    read = sidecar_settings.parse(given | {"MESH_POD_NAME": "a", "MESH_POD_NAMESPACE": "b", "MESH_POD_IP": "10.0.0.1"})
    assert read.drain_seconds == float(expected or 25)


@pytest.mark.spec("5.containers")
def test_a_volume_that_is_there_already_is_used() -> None:
    """An application that asks SPIRE itself has the very same volume; two of one name would be refused."""
    socket = {"name": "spire-agent-socket", "hostPath": {"path": "/run/spire/sockets", "type": "Directory"}}
    volumes = inject(pod(volumes=[{"name": "data"}, socket]), "shop", SETTINGS).pod["spec"]["volumes"]
    assert [volume["name"] for volume in volumes] == ["data", "spire-agent-socket", "nginx-mesh-run", "nginx-mesh-tmp"]


@pytest.mark.spec("5.containers")
def test_what_a_pod_says_of_itself_stays() -> None:
    """Security contexts of pod and containers, DNS, one namespace of processes, what debuggers left: all as it was."""
    fields = {
        "securityContext": {"runAsUser": 1000, "runAsNonRoot": True, "fsGroup": 2102, "supplementalGroups": [2102]},
        "shareProcessNamespace": True,
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["10.96.0.10"], "searches": ["cluster.local"]},
        "ephemeralContainers": [{"name": "debug", "image": "d:1", "securityContext": {"runAsUser": 2102}}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "os": {"name": "linux"},
    }
    own = {"name": "app", "image": "app:1", "securityContext": {"readOnlyRootFilesystem": True, "runAsUser": 1001}}
    spec = inject(pod(containers=[own], **fields), "shop", SETTINGS).pod["spec"]
    assert spec.items() >= fields.items()
    assert spec["containers"] == [own]
    init, sidecar = (row["securityContext"] for row in spec["initContainers"])
    assert (init["runAsUser"], init["runAsNonRoot"], sidecar["runAsUser"], sidecar["runAsGroup"]) == (
        0,
        False,
        2102,
        2102,
    )
