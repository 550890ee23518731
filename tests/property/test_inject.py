"""Injection of random pods (contract 5)."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from mesh.admission.inject import Injection, inject
from mesh.admission.settings import InjectionSettings
from mesh.api.errors import InvalidInputError
from mesh.api.mtls import MtlsMode
from mesh.ctl.manifest import inject_manifest, parse_manifest

names = st.sampled_from(["app", "web", "on", "123"])
port_rows = st.fixed_dictionaries(
    {"containerPort": st.sampled_from([80, 8080, 8901, 9000])},
    optional={"protocol": st.sampled_from(["TCP", "UDP", "SCTP"]), "name": st.sampled_from(["http", "x"])},
)
probes = st.one_of(
    st.fixed_dictionaries(
        {
            "httpGet": st.fixed_dictionaries(
                {"port": st.sampled_from([80, "http", "80", "none", 0])}, optional={"path": st.text(max_size=8)}
            )
        }
    ),
    st.just({"exec": {"command": ["true"]}}),
    st.just({"grpc": {"port": 9000}}),
)
containers: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"name": names, "image": st.just("i:1")},
    optional={
        "ports": st.lists(port_rows, max_size=3),
        "livenessProbe": probes,
        "readinessProbe": probes,
        "lifecycle": st.dictionaries(st.sampled_from(["postStart", "preStop"]), probes),
        "securityContext": st.fixed_dictionaries({"runAsUser": st.sampled_from([0, 1000, 2102])}),
        "restartPolicy": st.just("Always"),
    },
)
annotation_values = st.sampled_from(["80", "80, 81", "0", "strict", "off", "true", "false", "10m", "", "x"])
pods: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "labels": st.dictionaries(
                    st.sampled_from(["app", "nsm.nginx.com/enable-ingress", "pod-template-hash"]),
                    st.sampled_from(["true", "x"]),
                ),
                "annotations": st.dictionaries(
                    st.sampled_from(
                        [
                            "config.nsm.nginx.com/ignore-incoming-ports",
                            "config.nsm.nginx.com/mtls-mode",
                            "config.nsm.nginx.com/client-max-body-size",
                            "injector.nsm.nginx.com/native-sidecar",
                        ]
                    ),
                    annotation_values,
                    max_size=2,
                ),
                "ownerReferences": st.just([{"kind": "ReplicaSet", "name": "web-x", "controller": True}]),
            },
        ),
        "spec": st.fixed_dictionaries(
            {"containers": st.lists(containers, min_size=1, max_size=2, unique_by=lambda row: str(row["name"]))},
            optional={
                "hostNetwork": st.booleans(),
                "initContainers": st.lists(containers, max_size=1),
                "volumes": st.lists(st.sampled_from([{"name": "nginx-mesh-run"}, {"name": "x"}]), max_size=1),
                "dnsPolicy": st.sampled_from(["ClusterFirst", "Default"]),
                "terminationGracePeriodSeconds": st.sampled_from([0, 30, 90]),
                "nodeSelector": st.sampled_from([{"kubernetes.io/os": "windows"}, {"disk": "on"}]),
            },
        ),
    }
)
settings = st.builds(
    InjectionSettings, st.just("s:1"), st.just("i:1"), mtls_mode=st.sampled_from(MtlsMode), native_sidecar=st.booleans()
)


def outcome(pod: Mapping[str, Any], chosen: InjectionSettings) -> Injection | None:
    """The injection, or None for a refusal; no other exception is possible."""
    try:
        return inject(pod, "shop", chosen)
    except InvalidInputError as error:
        _ = error.problems[0]  # every refusal says why
        return None


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 70000) | st.sampled_from(["", "x", "TCP", "80"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "port"]), inner, max_size=2),
    max_leaves=4,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a document something could be exchanged."""
    yield at
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in rows:
        yield from places(item, (*at, key))


@pytest.mark.spec("5.refused")
@examples(max_examples=300)
@given(pods, settings, st.data())
def test_nothing_breaks_it(pod: dict[str, Any], chosen: InjectionSettings, data: st.DataObject) -> None:
    """Whatever stands wherever in a manifest, injection works or is refused with a reason; it never ends in an error."""
    document: Any = {"kind": "Pod", **json.loads(json.dumps(pod))}
    *parents, last = data.draw(st.sampled_from([at for at in places(document) if at not in {(), ("kind",)}]))
    holder = document
    for key in parents:
        holder = holder[key]
    holder[last] = data.draw(values)
    manifest = parse_manifest(json.dumps(document), "test")
    try:
        inject_manifest(manifest, chosen, "shop", {})
    except InvalidInputError as error:
        _ = error.problems[0]


@pytest.mark.spec("5.once")
@examples(max_examples=60)
@given(pods, settings, settings)
def test_twice_is_once(pod: dict[str, Any], first: InjectionSettings, second: InjectionSettings) -> None:
    """Whatever was injected is left alone, even when the mesh's settings have changed since."""
    once = outcome(pod, first)
    if once is not None:
        again = inject(once.pod, "shop", second)
        assert not again.changed
        assert again.pod == once.pod


@pytest.mark.spec("5.containers")
@examples(max_examples=60)
@given(pods, settings)
def test_the_application_keeps_everything_but_its_probes(pod: dict[str, Any], chosen: InjectionSettings) -> None:
    """Images, ports, names and order of the application's containers stay; exactly one sidecar comes to them."""
    done = outcome(pod, chosen)
    if done is None or "nsm.nginx.com/enable-ingress" in pod["metadata"].get("labels", {}):
        return
    spec = done.pod["spec"]
    everything = spec["initContainers"] + spec["containers"]
    assert sum(item["name"] == "nginx-mesh-sidecar" for item in everything) == 1
    own = [item for item in everything if not item["name"].startswith("nginx-mesh-")]
    given_containers = pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
    untouched = ("name", "image", "ports")
    assert [[item.get(key) for key in untouched] for item in own] == [
        [item.get(key) for key in untouched] for item in given_containers
    ]


@pytest.mark.spec("3.modes")
@examples(max_examples=60)
@given(pods, settings)
def test_no_pod_of_a_strict_mesh_starts_weaker(pod: dict[str, Any], chosen: InjectionSettings) -> None:
    """The sidecar's first mode is strict wherever the mesh is."""
    done = outcome(pod, chosen)
    if done is None or chosen.mtls_mode is not MtlsMode.STRICT:
        return
    for container in done.pod["spec"].get("initContainers", []) + done.pod["spec"]["containers"]:
        for row in container.get("env", []):
            assert row["name"] != "MESH_MTLS_MODE" or row["value"] == "strict"
