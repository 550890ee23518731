"""Random objects of many kinds, with ways to change each: in place, by replacement, and by somebody else's hand.

Values are drawn so that a wrong reading shows: odd spellings of quantities, empty and zero values, unicode, keys with dots
and slashes, lists whose order matters.
"""

import base64
import copy
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

_WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")
_TEXTS = (
    "",
    " ",
    "plain",
    "two words",
    "line\nbreak",
    'quoted "text"',
    "ünïcode ✓",
    "1e3",
    "true",
    "0x1f",
    "{a: b}",
    "a=b,c",
    "null",
)
_MEMORY = ("64Mi", "1024Ki", "1Gi", "0.5Gi", "128974848", "129M", "1e8")
_CPU = ("100m", "0.1", "1", "0.25", "1500m", 2)


class Maker:
    """Draws objects of one test run; the same seed gives the same objects."""

    def __init__(self, seed: int, namespace: str) -> None:
        self.random = random.Random(seed)
        self.namespace = namespace
        self._count = 0

    def word(self) -> str:
        return self.random.choice(_WORDS)

    def text(self) -> str:
        return self.random.choice(_TEXTS)

    def name(self) -> str:
        self._count += 1
        return f"{self.word()}-{self._count}"

    def pick(self, *values: Any) -> Any:
        return self.random.choice(values)

    def some(self, low: int, high: int, make: Callable[[], Any]) -> list[Any]:
        return [make() for _ in range(self.random.randint(low, high))]

    def labels(self) -> dict[str, str]:
        return {
            self.pick(f"{word}.example.com/{word}", word): self.pick("", self.word(), "a.b_c")
            for word in self.some(1, 3, self.word)
        }

    def texts(self) -> dict[str, str]:
        return {self.pick(word, f"{word}.yaml", f"{word}_2"): self.text() for word in self.some(1, 4, self.word)}

    def metadata(self, *, namespaced: bool = True) -> Object:
        result: Object = {"name": self.name(), "labels": self.labels()}
        if not namespaced:
            result["name"] = f"{self.namespace}-{result['name']}"
        else:
            result["namespace"] = self.namespace
        if self.pick(True, False):
            result["annotations"] = {f"example.com/{word}": self.text() for word in self.some(0, 2, self.word)}
        return result

    def container(self, name: str) -> Object:
        result: Object = {"name": name, "image": f"localhost/{self.word()}:{self.random.randint(1, 9)}"}
        if self.pick(True, False):
            result["resources"] = {
                "requests": {"cpu": self.pick(*_CPU), "memory": "512Ki"},
                "limits": {"memory": self.pick(*_MEMORY)},
            }
        if self.pick(True, False):
            names = sorted({word.upper() for word in self.some(1, 4, self.word)})
            result["env"] = [{"name": word, "value": self.text()} for word in names]
        if self.pick(True, False):
            result["args"] = self.some(1, 3, lambda: self.text() or "x")
        if self.pick(True, False):
            result["readinessProbe"] = {"httpGet": {"path": "/", "port": self.pick(8080, "http")}, "periodSeconds": 3}
        if self.pick(True, False):
            result["securityContext"] = {
                "readOnlyRootFilesystem": self.pick(True, False),
                "runAsUser": self.pick(0, 2102),
            }
        if self.pick(True, False):
            result["ports"] = [{"name": "http", "containerPort": self.random.randint(1, 65535)}]
        return result

    def pod(self) -> Object:
        result: Object = {
            "containers": [self.container(name) for name in ("main", "side")[: self.random.randint(1, 2)]]
        }
        if self.pick(True, False):
            result["volumes"] = [{"name": "work", "emptyDir": self.pick({}, {"sizeLimit": "0.5Gi"})}]
        if self.pick(True, False):
            result["hostNetwork"] = False
        if self.pick(True, False):
            result["terminationGracePeriodSeconds"] = self.pick(0, 5, 30)
        return result

    def template(self, labels: dict[str, str]) -> Object:
        return {"metadata": {"labels": {**labels, **self.labels()}}, "spec": self.pod()}

    def rules(self) -> list[Object]:
        return self.some(
            1,
            3,
            lambda: {
                "apiGroups": ["", "apps"],
                "resources": [self.word()],
                "verbs": self.pick(["get"], ["list", "watch"]),
            },
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """A kind: how one is made, changed in place, replaced (besides by another name), and edited by others.

    ``edit`` is a JSON merge patch of a field that the object's inputs hold.
    """

    kind: str
    path: str
    make: Callable[[Maker], Object]
    change: Callable[[Maker, Object], None]
    edit: Callable[[Maker, Object], Object]
    replace: Callable[[Maker, Object], None] | None = None

    def location(self, item: Object) -> str:
        metadata = item["metadata"]
        root, _, plural = self.path.rpartition("/")
        scope = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
        return f"{root}{scope}/{plural}/{metadata['name']}"


def relabel(maker: Maker, item: Object) -> None:
    item["metadata"]["labels"] = {**maker.labels(), "changed": str(maker.random.randint(0, 9999))}


def edited_label(maker: Maker, item: Object) -> Object:
    key = maker.random.choice(sorted(item["metadata"]["labels"]))
    return {"metadata": {"labels": {key: f"edited-{maker.random.randint(0, 9999)}"}}}


def renamed(maker: Maker, item: Object) -> None:
    """What replaces an object of any kind."""
    old = item["metadata"]["name"]
    item["metadata"]["name"] = f"{old}-n{maker.random.randint(0, 9999)}"


def _head(version: str, kind: str, maker: Maker, *, namespaced: bool = True) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": maker.metadata(namespaced=namespaced)}


def config_map(maker: Maker) -> Object:
    return {**_head("v1", "ConfigMap", maker), "data": maker.texts()}


def secret(maker: Maker) -> Object:
    item = {**_head("v1", "Secret", maker), "type": maker.pick("Opaque", "example.com/own")}
    if maker.pick(True, False):
        item["stringData"] = {"text": maker.text() or "x"}
    encoded = base64.b64encode(maker.text().encode()).decode()
    return {**item, "data": {"data": encoded, "empty": ""}}


def workload(version: str, kind: str) -> Callable[[Maker], Object]:
    def make(maker: Maker) -> Object:
        item, labels = _head(version, kind, maker), {"app": maker.name()}
        spec: Object = {"template": maker.template(labels)}
        spec["selector"] = labels if kind == "ReplicationController" else {"matchLabels": labels}
        if kind != "DaemonSet":
            spec["replicas"] = maker.pick(0, 1, 3)
        if kind == "StatefulSet":
            claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": maker.pick(*_MEMORY)}}}
            spec |= {
                "serviceName": maker.word(),
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
            }
        if kind == "Deployment" and maker.pick(True, False):
            spec["strategy"] = {
                "rollingUpdate": {"maxSurge": maker.pick(1, "25%"), "maxUnavailable": maker.pick(0, "50%")}
            }
        return {**item, "spec": spec}

    return make


def change_image(maker: Maker, item: Object) -> None:
    item["spec"]["template"]["spec"]["containers"][0] = maker.container("main") | {
        "image": f"localhost/new:{maker.random.randint(10, 99)}"
    }


def edited_image(maker: Maker, item: Object) -> Object:
    containers = copy.deepcopy(item["spec"]["template"]["spec"]["containers"])
    containers[0]["image"] = f"localhost/edited:{maker.random.randint(10, 99)}"
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def reselect(maker: Maker, item: Object) -> None:
    labels = {"app": maker.name()}
    item["spec"]["selector"] = {"matchLabels": labels}
    item["spec"]["template"]["metadata"]["labels"] = labels


def job(maker: Maker) -> Object:
    pod = maker.pod() | {"restartPolicy": "Never"}
    spec = {"template": {"spec": pod}, "backoffLimit": maker.pick(0, 3), "completions": 1}
    return {**_head("batch/v1", "Job", maker), "spec": spec}


def cron_job(maker: Maker) -> Object:
    pod = maker.pod() | {"restartPolicy": "OnFailure"}
    spec = {
        "schedule": "0 5 1 1 *",
        "suspend": maker.pick(True, False),
        "jobTemplate": {"spec": {"template": {"spec": pod}}},
    }
    return {**_head("batch/v1", "CronJob", maker), "spec": spec}


def service(maker: Maker) -> Object:
    names = sorted(set(maker.some(1, 3, maker.word)))
    ports = [
        {"name": name, "port": 8000 + index, "targetPort": maker.pick(80, "http")} for index, name in enumerate(names)
    ]
    kind = maker.pick({}, {"type": "ClusterIP"}, {"clusterIP": "None"})
    return {**_head("v1", "Service", maker), "spec": {"selector": {"app": maker.name()}, "ports": ports, **kind}}


def change_ports(maker: Maker, item: Object) -> None:
    item["spec"]["ports"] = [{"name": "changed", "port": maker.random.randint(9000, 9999), "targetPort": 80}]


def edited_selector(maker: Maker, _item: Object) -> Object:
    return {"spec": {"selector": {"app": f"edited-{maker.word()}"}}}
