"""Random objects of many kinds through create, external edit, refresh, update, replace, import and destroy: after each
step the API server's objects, the state and what the server itself makes of the declaration are compared field by field."""

import copy
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.apiserver import ApiError, ApiServer
from tests.plugins.kinds import SAMPLES, replace
from tests.plugins.objects import WIDGET_DEFINITION
from tests.plugins.random_objects import Maker, Object, Sample
from tests.plugins.stacks import Stack

pytestmark = pytest.mark.pulumi

SEED = int(os.environ.get("PLUGINS_SEED", "20261121"))
_ROUNDS = int(os.environ.get("PLUGINS_ROUNDS", "10"))
# What only the server knows, and what differs between an object and its twin under another name.
_OWN = {"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink"}
_GENERATED = {
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "kubernetes.io/metadata.name",
    "clusterIPs",
    "deprecated.daemonset.template.generation",
}


class Zoo:
    """The objects of one run, with their declarations and the differences found."""

    def __init__(self, server: ApiServer, stack: Stack, maker: Maker) -> None:
        self.server, self.stack, self.maker = server, stack, maker
        self.animals: list[tuple[str, Sample, Object]] = [
            (f"{sample.kind.lower()}", sample, sample.make(maker)) for sample in SAMPLES
        ]
        self.differences: list[str] = []

    def declare(self) -> None:
        self.stack.declare(*({"resource": name, "object": item} for name, _, item in self.animals))

    def compare(self, step: str) -> None:
        """Live object against the server's own reading of the declaration, and state against live object."""
        resources = self.stack.resources()
        if set(resources) != {name for name, _, _ in self.animals}:
            self.differences.append(f"{step}: the state holds {sorted(resources)}")
        for name, sample, item in self.animals:
            live = self.server.request("GET", sample.location(item))
            kept = {key: value for key, value in resources[name]["outputs"].items() if not key.startswith("__")}
            self._note(step, f"{name} state", _settled(dashed(kept)), _settled(live))
            self._note(
                step, f"{name} inputs", resources[name]["outputs"]["__inputs"], underscored(resources[name]["inputs"])
            )
            self._note(step, f"{name} live", _comparable(live), _comparable(self._truth(sample, item)))

    def _truth(self, sample: Sample, item: Object) -> Object:
        """What the API server makes of the declaration: a dry run under another name."""
        twin = copy.deepcopy(item)
        if sample.kind == "CustomResourceDefinition":
            twin["metadata"]["name"] = f"twin{twin['metadata']['name']}"
            names = twin["spec"]["names"]
            twin["spec"]["names"] = {
                key: f"twin{value}" if key not in {"kind", "listKind"} else f"Twin{value}"
                for key, value in names.items()
            }
        else:
            twin["metadata"]["name"] += "-twin"
        path = sample.location(twin).rpartition("/")[0]
        truth: Object = self.server.request("POST", f"{path}?dryRun=All", twin)
        if sample.kind == "CustomResourceDefinition":
            truth["spec"]["names"] = item["spec"]["names"]
        return truth

    def _note(self, step: str, what: str, found: Any, wanted: Any) -> None:
        for path in unequal(found, wanted, ""):
            self.differences.append(f"{step}: {what}: {path}")


def dashed(value: Any) -> Any:
    """The state spells schema extensions with underscores."""
    if isinstance(value, dict):
        return {
            key.replace("_", "-") if key.startswith("x_kubernetes_") else key: dashed(item)
            for key, item in value.items()
        }
    return [dashed(item) for item in value] if isinstance(value, list) else value


def underscored(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key.replace("-", "_") if key.startswith("x-kubernetes-") else key: underscored(item)
            for key, item in value.items()
        }
    return [underscored(item) for item in value] if isinstance(value, list) else value


def _settled(item: Object) -> Object:
    """Without what controllers go on writing after an update."""
    metadata = {
        key: value for key, value in item["metadata"].items() if key not in {"resourceVersion", "managedFields"}
    }
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}


def _comparable(item: Object) -> Object:
    metadata = {key: value for key, value in item["metadata"].items() if key not in {*_OWN, "name"}}
    result = {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}
    spec = result.get("spec") or {}
    if item["kind"] == "Service" and spec.get("clusterIP") != "None":
        result["spec"] = {key: value for key, value in spec.items() if key != "clusterIP"}
    without: Object = _without_generated(result)
    return without


def _without_generated(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_generated(item) for key, item in value.items() if key not in _GENERATED}
    return [_without_generated(item) for item in value] if isinstance(value, list) else value


def unequal(found: Any, wanted: Any, path: str) -> Iterator[str]:
    """The places where two values differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted({*found, *wanted}):
            yield from unequal(found.get(key, "<none>"), wanted.get(key, "<none>"), f"{path}.{key}")
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for index, (left, right) in enumerate(zip(found, wanted, strict=True)):
            yield from unequal(left, right, f"{path}[{index}]")
    elif json.dumps(found, sort_keys=True) != json.dumps(wanted, sort_keys=True):
        yield f"{path}: {found!r} instead of {wanted!r}"


def life(server: ApiServer, new_stack: Callable[..., Stack], space: str, seed: int) -> list[str]:
    """One round; the differences that were found."""
    stack = new_stack(f"zoo-{seed}")
    stack.configure(enableConfigMapMutable="true", enableSecretMutable="true")
    zoo = Zoo(server, stack, Maker(seed, space))
    if not server.exists("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.plugins.example.com"):
        server.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WIDGET_DEFINITION)
    server.wait_for("/apis/plugins.example.com/v1/widgets")

    zoo.declare()
    stack.up().ok()
    zoo.compare("create")
    stack.up("--expect-no-changes").ok()

    for _, sample, item in zoo.animals:
        server.merge(sample.location(item), sample.edit(zoo.maker, item), "kubectl-edit")
    stack.refresh().ok()
    shown = stack.preview().ok().text
    for name, _, _ in zoo.animals:
        if f"::{name}]" not in shown:
            zoo.differences.append(f"edit: the preview after a refresh does not show {name}")
    stack.up().ok()
    zoo.compare("repair")

    for _, sample, item in zoo.animals:
        sample.change(zoo.maker, item)
    zoo.declare()
    if "replaced" in stack.up().ok().text:
        zoo.differences.append("update: something was replaced")
    zoo.compare("update")

    before = [(sample, copy.deepcopy(item)) for _, sample, item in zoo.animals]
    uids = [server.request("GET", sample.location(item))["metadata"]["uid"] for sample, item in before]
    for _, sample, item in zoo.animals:
        replace(zoo.maker, sample, item)
    zoo.declare()
    stack.up().ok()
    zoo.compare("replace")
    stack.refresh("--expect-no-changes").ok()
    stack.up("--expect-no-changes").ok()
    for (sample, item), uid in zip(before, uids, strict=True):
        try:
            if server.request("GET", sample.location(item))["metadata"]["uid"] == uid:
                zoo.differences.append(f"replace: {sample.location(item)} is the old one")
        except ApiError as error:
            if error.status != 404:
                raise

    take_in(zoo, new_stack(f"import-{seed}"))
    stack.destroy().ok()
    for _, sample, item in zoo.animals:
        if server.exists(sample.location(item)):
            zoo.differences.append(f"destroy: {sample.location(item)} is still there")
    return zoo.differences


def take_in(zoo: Zoo, other: Stack) -> None:
    """Import every object into a second stack by the command line: its state equals the live objects."""
    entries = []
    for name, _, item in zoo.animals:
        group, _, version = item["apiVersion"].rpartition("/")
        metadata = item["metadata"]
        identity = f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else metadata["name"]
        token = f"kubernetes:{group or 'core'}/{version}:{item['kind']}"
        entries.append({"type": token, "name": name, "id": identity, "version": "4.32.0"})
    (other.project / "import.json").write_text(json.dumps({"resources": entries}))
    other.pulumi("import", "--file", "import.json", "--yes", "--generate-code=false", "--protect=false").ok()
    resources = other.resources()
    for name, sample, item in zoo.animals:
        live = zoo.server.request("GET", sample.location(item))
        kept = {key: value for key, value in resources[name]["outputs"].items() if not key.startswith("__")}
        zoo._note("import", f"{name} state", _settled(dashed(kept)), _settled(live))
    other.refresh("--expect-no-changes").ok()


@pytest.mark.timeout(900)
@pytest.mark.spec("10.plugin-fidelity")
def test_no_difference_in_one_life_of_every_kind(
    api_server: ApiServer, new_stack: Callable[..., Stack], space: str
) -> None:
    assert len({sample.kind for sample in SAMPLES}) >= 25
    assert life(api_server, new_stack, space, SEED) == []


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_no_difference_in_many_lives(api_server: ApiServer, new_stack: Callable[..., Stack], space: str) -> None:
    """Other random objects each round; PLUGINS_SEED and PLUGINS_ROUNDS repeat a run."""
    for index in range(_ROUNDS):
        print(f"round {index + 1} of {_ROUNDS}, seed {SEED + 1 + index}, {len(SAMPLES)} kinds")
        assert life(api_server, new_stack, space, SEED + 1 + index) == []
