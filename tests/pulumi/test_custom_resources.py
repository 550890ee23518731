"""The definitions on a real API server: accepted without a complaint, every field kept, every bad value refused."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from mesh.api import crd, kinds, schema
from mesh.api.crd import Kind
from mesh.api.errors import InvalidInputError
from tests.apiserver import ApiError, ApiServer

pytestmark = [pytest.mark.tools, pytest.mark.timeout(300)]

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_SELECTOR = {
    "matchLabels": {"a": "b"},
    "matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c"]}],
}
_REFERENCE = {"kind": "Deployment", "name": "shop", "namespace": "default"}
_LIMIT = {
    "name": "limit",
    "destination": _REFERENCE,
    "sources": [_REFERENCE],
    "rate": "10r/s",
    "burst": 5,
    "delay": "nodelay",
}
_ROUTES = [{"kind": "HTTPRouteGroup", "name": "routes", "matches": ["get"]}]

# By kind and version: a spec that uses every field there is.
SAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("MeshConfig", "v1alpha2"): {
        "meshConfigClassName": "nginx-mesh-meshconfig-class",
        "accessControlMode": "deny",
        "clientMaxBodySize": "64k",
        "mtls": {"mode": "strict", "svidTTL": "1h", "caTTL": "720h", "caKeyType": "rsa-4096"},
        "nginxErrorLogLevel": "emerg",
        "nginxLBMethod": "least_time last_byte inflight",
        "nginxLogFormat": "json",
        "prometheusAddress": "prometheus.monitoring:9090",
        "telemetry": {"samplerRatio": 0.5, "exporters": {"otlp": {"host": "collector", "port": 4317}}},
    },
    ("MeshConfigClass", "v1alpha2"): {"controllerName": "nsm.nginx.com/nginx-mesh-controller"},
    ("TrafficSplit", "v1alpha3"): {
        "service": "shop",
        "backends": [{"service": "shop-v1", "weight": 0}, {"service": "shop-v2", "weight": 7}],
        "matches": [{"kind": "HTTPRouteGroup", "name": "routes", "apiGroup": "specs.smi-spec.io"}],
    },
    ("HTTPRouteGroup", "v1alpha3"): {
        "matches": [{"name": "get", "pathRegex": "*", "methods": ["*"], "headers": {"x-user": "^a"}}]
    },
    ("TCPRoute", "v1alpha3"): {},
    ("TrafficTarget", "v1alpha2"): {
        "destination": {"kind": "ServiceAccount", "name": "shop", "namespace": "default", "port": 80},
        "sources": [{"kind": "ServiceAccount", "name": "web", "namespace": "default", "port": 80}],
        "rules": [*_ROUTES, {"kind": "TCPRoute", "name": "all"}],
    },
    ("RateLimit", "v1alpha1"): _LIMIT,
    ("RateLimit", "v1alpha2"): _LIMIT | {"delay": 3, "rules": _ROUTES},
    ("CircuitBreaker", "v1alpha1"): {
        "destination": {"kind": "Service", "name": "shop", "namespace": "default"},
        "errors": 0,
        "timeoutSeconds": 30,
        "fallback": {"service": "default/other", "port": 8080},
    },
    ("ClusterSPIFFEID", "v1alpha1"): {
        "spiffeIDTemplate": "spiffe://{{ .TrustDomain }}/x",
        "ttl": "1h0m0s",
        "jwtTtl": "5m0s",
        "dnsNameTemplates": ["{{ .PodMeta.Name }}"],
        "workloadSelectorTemplates": ["k8s:ns:x"],
        "federatesWith": ["other.example"],
        "namespaceSelector": _SELECTOR,
        "podSelector": _SELECTOR,
        "admin": True,
        "downstream": True,
        "autoPopulateDNSNames": True,
        "fallback": True,
        "hint": "h",
        "className": "c",
    },
    ("ClusterStaticEntry", "v1alpha1"): {
        "spiffeID": "spiffe://example.org/x",
        "parentID": "spiffe://example.org/y",
        "selectors": ["k8s:ns:x"],
        "federatesWith": ["other.example"],
        "x509SVIDTTL": "1h0m0s",
        "jwtSVIDTTL": "5m0s",
        "dnsNames": ["a.example"],
        "hint": "h",
        "admin": True,
        "downstream": True,
        "storeSVID": True,
        "className": "c",
    },
    ("ClusterFederatedTrustDomain", "v1alpha1"): {
        "trustDomain": "other.example",
        "bundleEndpointURL": "https://other.example/bundle",
        "bundleEndpointProfile": {"type": "https_spiffe", "endpointSPIFFEID": "spiffe://other.example/x"},
        "trustDomainBundle": "{}",
        "className": "c",
    },
}

# Kind, version, path of a member, bad value (None: the member is taken away).
BAD: list[tuple[str, str, str, Any]] = [
    ("MeshConfig", "v1alpha2", "meshConfigClassName", None),
    ("MeshConfig", "v1alpha2", "meshConfigClassName", ""),
    ("MeshConfig", "v1alpha2", "accessControlMode", "maybe"),
    ("MeshConfig", "v1alpha2", "clientMaxBodySize", "1mb"),
    ("MeshConfig", "v1alpha2", "mtls.mode", "on"),
    ("MeshConfig", "v1alpha2", "mtls.caTTL", "23h"),
    ("MeshConfig", "v1alpha2", "mtls.caTTL", "x24h"),
    ("MeshConfig", "v1alpha2", "mtls.svidTTL", "0m"),
    ("MeshConfig", "v1alpha2", "mtls.caKeyType", "dsa"),
    ("MeshConfig", "v1alpha2", "nginxLBMethod", "ip_hash"),
    ("MeshConfig", "v1alpha2", "telemetry.samplerRatio", 1.1),
    ("MeshConfig", "v1alpha2", "telemetry.exporters.otlp.port", 65536),
    ("MeshConfigClass", "v1alpha2", "controllerName", None),
    ("TrafficSplit", "v1alpha3", "service", None),
    ("TrafficSplit", "v1alpha3", "backends.0.weight", -1),
    ("TrafficSplit", "v1alpha3", "backends.0.weight", None),
    ("TrafficSplit", "v1alpha3", "matches.0.name", None),
    ("HTTPRouteGroup", "v1alpha3", "matches.0.headers.x-user", 5),
    ("TrafficTarget", "v1alpha2", "destination", None),
    ("TrafficTarget", "v1alpha2", "sources.0.kind", None),
    ("RateLimit", "v1alpha1", "rate", "10r/h"),
    ("RateLimit", "v1alpha1", "rate", "10r/,"),
    ("RateLimit", "v1alpha2", "burst", -1),
    ("RateLimit", "v1alpha2", "delay", []),
    ("RateLimit", "v1alpha2", "rules.0.kind", "TCPRoute"),
    ("CircuitBreaker", "v1alpha1", "destination.kind", "Deployment"),
    ("CircuitBreaker", "v1alpha1", "errors", -1),
    ("CircuitBreaker", "v1alpha1", "timeoutSeconds", None),
    ("CircuitBreaker", "v1alpha1", "fallback.port", 65536),
    ("ClusterSPIFFEID", "v1alpha1", "spiffeIDTemplate", None),
    ("ClusterStaticEntry", "v1alpha1", "selectors", None),
    ("ClusterFederatedTrustDomain", "v1alpha1", "bundleEndpointProfile.type", "http"),
]
_KINDS = {kind.kind: kind for kind in kinds.ALL_KINDS}


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> Iterator[ApiServer]:
    for kind in kinds.ALL_KINDS:
        path = f"{_DEFINITIONS}?fieldValidation=Strict"
        api_server.request("POST", path, crd.definition(kind))
    for kind in kinds.ALL_KINDS:
        for version in kind.versions:
            api_server.wait_for(f"/apis/{kind.group}/{version.name}/{kind.plural}")
    yield api_server
    for kind in kinds.ALL_KINDS:
        api_server.request("DELETE", f"{_DEFINITIONS}/{kind.name}")


def collection(kind: Kind, version: str) -> str:
    space = "/namespaces/default" if kind.scope == "Namespaced" else ""
    return f"/apis/{kind.group}/{version}{space}/{kind.plural}"


def document(kind: Kind, version: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": f"{kind.group}/{version}", "kind": kind.kind, "metadata": {"name": "sample"}, "spec": spec}


def changed(spec: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    found = copy.deepcopy(spec)
    *way, last = path.split(".")
    place: Any = found
    for step in way:
        place = place[int(step)] if step.isdecimal() else place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return found


@pytest.mark.spec("7.kinds")
def test_every_definition_is_established_without_a_complaint(server: ApiServer) -> None:
    for kind in kinds.ALL_KINDS:
        status = server.request("GET", f"{_DEFINITIONS}/{kind.name}")["status"]
        conditions = {one["type"]: one["status"] for one in status["conditions"]}
        assert conditions["Established"] == conditions["NamesAccepted"] == "True", kind.name
        assert conditions.get("NonStructuralSchema", "False") == "False", kind.name
        assert conditions.get("KubernetesAPIApprovalPolicyConformant", "True") == "True", kind.name


@pytest.mark.spec("7.kinds")
@pytest.mark.parametrize(("kind", "version"), sorted(SAMPLES))
def test_every_field_is_kept_and_read(server: ApiServer, kind: str, version: str) -> None:
    """``fieldValidation=Strict`` refuses a field that the schema lacks; what comes back must be what was sent."""
    spec, found = SAMPLES[kind, version], _KINDS[kind]
    path = f"{collection(found, version)}?fieldValidation=Strict&dryRun=All"
    answer = server.request("POST", path, document(found, version, spec))
    assert answer["spec"] == spec
    crd.parse_spec(found, answer)


def test_every_version_has_a_sample_that_uses_every_field() -> None:
    for kind in kinds.ALL_KINDS:
        for version in kind.versions:
            properties = schema.open_api(version.spec).get("properties", {})
            assert set(SAMPLES[kind.kind, version.name]) == set(properties)


@pytest.mark.spec("7.kinds")
@pytest.mark.parametrize(("kind", "version", "path", "value"), BAD)
def test_a_bad_value_is_refused_by_server_and_parser_alike(
    server: ApiServer, kind: str, version: str, path: str, value: Any
) -> None:
    found = _KINDS[kind]
    bad = document(found, version, changed(SAMPLES[kind, version], path, value))
    with pytest.raises(ApiError) as refused:
        server.request("POST", f"{collection(found, version)}?dryRun=All", bad)
    assert refused.value.status == 422
    with pytest.raises(InvalidInputError):
        crd.parse_spec(found, bad)


@pytest.mark.spec("7.status")
def test_status_is_written_only_through_its_subresource(server: ApiServer) -> None:
    kind = _KINDS["MeshConfig"]
    place = collection(kind, "v1alpha2")
    body = document(kind, "v1alpha2", SAMPLES["MeshConfig", "v1alpha2"]) | {"status": {"transparent": True}}
    assert "status" not in server.request("POST", place, body)
    condition = {
        "type": "Programmed",
        "status": "True",
        "reason": "Applied",
        "message": "3 of 3 sidecars",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "observedGeneration": 1,
    }
    status = {"transparent": False, "observedGeneration": 1, "conditions": [condition]}
    assert server.merge(f"{place}/sample", {"status": status}, subresource="status")["status"] == status
    bad = {"status": {"conditions": [condition | {"status": "Maybe"}]}}
    with pytest.raises(ApiError):
        server.merge(f"{place}/sample", bad, subresource="status")
    server.request("DELETE", f"{place}/sample")


@pytest.mark.spec("7.kinds")
def test_a_rate_limit_of_either_version_is_one_object(server: ApiServer) -> None:
    kind = _KINDS["RateLimit"]
    server.request("POST", collection(kind, "v1alpha1"), document(kind, "v1alpha1", _LIMIT))
    again = server.request("GET", f"{collection(kind, 'v1alpha2')}/sample")
    assert (again["apiVersion"], again["spec"]) == ("specs.smi.nginx.com/v1alpha2", _LIMIT)
    server.request("DELETE", f"{collection(kind, 'v1alpha2')}/sample")
