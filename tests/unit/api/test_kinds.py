"""The kinds that the mesh brings have NSM's groups, versions, plurals and short names, and schemas without holes."""

from collections.abc import Iterator
from typing import Any

import pytest

from mesh.api import crd, kinds, names

# name, kind, versions served (stored one last), short names, scope: written out from NSM's documents and SPIRE's.
NAMED = [
    ("meshconfigs.nsm.nginx.com", "MeshConfig", ["v1alpha2"], None, "Namespaced"),
    ("meshconfigclasses.nsm.nginx.com", "MeshConfigClass", ["v1alpha2"], None, "Cluster"),
    ("trafficsplits.split.smi-spec.io", "TrafficSplit", ["v1alpha3"], ["ts"], "Namespaced"),
    ("httproutegroups.specs.smi-spec.io", "HTTPRouteGroup", ["v1alpha3"], ["htr"], "Namespaced"),
    ("tcproutes.specs.smi-spec.io", "TCPRoute", ["v1alpha3"], ["tr"], "Namespaced"),
    ("traffictargets.access.smi-spec.io", "TrafficTarget", ["v1alpha2"], ["tt"], "Namespaced"),
    ("ratelimits.specs.smi.nginx.com", "RateLimit", ["v1alpha1", "v1alpha2"], ["rl"], "Namespaced"),
    ("circuitbreakers.specs.smi.nginx.com", "CircuitBreaker", ["v1alpha1"], ["cb"], "Namespaced"),
    ("clusterspiffeids.spire.spiffe.io", "ClusterSPIFFEID", ["v1alpha1"], None, "Cluster"),
    ("clusterstaticentries.spire.spiffe.io", "ClusterStaticEntry", ["v1alpha1"], None, "Cluster"),
    ("clusterfederatedtrustdomains.spire.spiffe.io", "ClusterFederatedTrustDomain", ["v1alpha1"], None, "Cluster"),
]
DEFINITIONS = {kind.name: crd.definition(kind) for kind in kinds.ALL_KINDS}


@pytest.mark.spec("7.kinds")
@pytest.mark.parametrize(("name", "kind", "versions", "short_names", "scope"), NAMED)
def test_names_are_those_of_nsm(
    name: str, kind: str, versions: list[str], short_names: list[str] | None, scope: str
) -> None:
    spec = DEFINITIONS[name]["spec"]
    spelling = spec["names"]
    assert spelling["kind"] == kind
    assert spelling["listKind"] == kind + "List"
    assert (spelling["plural"], spec["group"]) == tuple(name.split(".", 1))
    assert spelling["singular"] == kind.lower()
    assert spelling.get("shortNames") == short_names
    assert spec["scope"] == scope
    assert [version["name"] for version in spec["versions"] if version["served"]] == versions
    assert [version["name"] for version in spec["versions"] if version["storage"]] == versions[-1:]


def test_no_kind_is_forgotten() -> None:
    assert sorted(DEFINITIONS) == sorted(row[0] for row in NAMED)


@pytest.mark.spec("7.status")
@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_status_is_a_subresource_and_the_object_is_labelled(name: str) -> None:
    definition = DEFINITIONS[name]
    assert definition["metadata"]["labels"] == {names.LABEL_PART_OF: names.PART_OF}
    for version in definition["spec"]["versions"]:
        assert version["subresources"] == {"status": {}}
        always = [column["name"] for column in version["additionalPrinterColumns"] if not column.get("priority")]
        assert always[-1] == "Age"


@pytest.mark.spec("7.conditions")
@pytest.mark.parametrize("kind", kinds.POLICY_KINDS, ids=lambda kind: kind.kind)
def test_kubectl_get_shows_whether_a_policy_is_in_force_and_wide_why(kind: crd.Kind) -> None:
    for version in DEFINITIONS[kind.name]["spec"]["versions"]:
        paths = {column["name"]: column["jsonPath"] for column in version["additionalPrinterColumns"]}
        wide = {column["name"] for column in version["additionalPrinterColumns"] if column.get("priority") == 1}
        assert paths["Accepted"] == '.status.conditions[?(@.type=="Accepted")].status'
        assert paths["Programmed"] == '.status.conditions[?(@.type=="Programmed")].status'
        assert {"Serving", "Why"} <= wide
        assert not {"Accepted", "Programmed", "Age"} & wide
        # The API server shows the first item of a list alone, as if there were no other.
        assert not any("*" in path for path in paths.values())


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from nodes(inner)
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key])


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_every_part_of_a_schema_has_a_type_and_nothing_is_kept_unseen(name: str) -> None:
    for version in DEFINITIONS[name]["spec"]["versions"]:
        whole = version["schema"]["openAPIV3Schema"]
        for node in nodes(whole):
            assert "type" in node or node.get("x-kubernetes-int-or-string")
            assert "x-kubernetes-preserve-unknown-fields" not in node
        for part in ("spec", "status"):
            assert all("description" in node for node in whole["properties"][part].get("properties", {}).values())
