"""The verbs on objects of the API server, by apiVersion, kind, namespace and name."""

import threading
import time
from dataclasses import dataclass

from embedded.plugins.kubernetes.connection import ApiError, Connection
from embedded.plugins.kubernetes.options import Options
from embedded.plugins.kubernetes.properties import Object

_AS_OLD_AS_SECONDS = 1.0
"""A kind that was missing is asked for again only after this time."""


class NoSuchKind(Exception):
    """The server serves no such apiVersion and kind: its definition is not registered."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How the server serves one kind."""

    root: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.root}{scope}/{self.plural}" + (f"/{name}" if name else "")


class Cluster:
    """One API server, for many threads."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._connection = Connection(options)
        self._kinds: dict[str, tuple[float, dict[str, Kind]]] = {}
        self._lock = threading.Lock()

    @property
    def default_namespace(self) -> str:
        return self._connection.default_namespace

    def kind(self, api_version: str, kind: str) -> Kind:
        """How a kind is served; asks the server again when it was missing."""
        root = ("/apis/" if "/" in api_version else "/api/") + api_version
        with self._lock:
            asked, kinds = self._kinds.get(root, (float("-inf"), {}))
            if kind not in kinds and time.monotonic() - asked > _AS_OLD_AS_SECONDS:
                kinds = self._discover(root)
                self._kinds[root] = (time.monotonic(), kinds)
        if kind not in kinds:
            raise NoSuchKind(f"the server has no kind {kind} in {api_version}; is its CustomResourceDefinition there?")
        return kinds[kind]

    def _discover(self, root: str) -> dict[str, Kind]:
        try:
            resources = self._connection.request("GET", root).get("resources", [])
        except ApiError as error:
            if error.status == 404:
                return {}
            raise
        return {
            entry["kind"]: Kind(root, entry["name"], entry["namespaced"])
            for entry in resources
            if "/" not in entry["name"]
        }

    def forget_kinds(self) -> None:
        """Ask again: a definition came or went."""
        with self._lock:
            self._kinds.clear()

    def _path(self, item: Object) -> str:
        metadata = item["metadata"]
        kind = self.kind(item["apiVersion"], item["kind"])
        return kind.path(metadata.get("namespace") or self.default_namespace, metadata["name"])

    def get(self, item: Object) -> Object:
        return self._connection.request("GET", self._path(item))

    def listed(self, api_version: str, kind: str, namespace: str, label_selector: str) -> list[Object]:
        path = self.kind(api_version, kind).path(namespace)
        answer = self._connection.request("GET", path, query={"labelSelector": label_selector})
        items: list[Object] = answer.get("items") or []
        return items

    def create(self, item: Object, manager: str, *, dry: bool) -> Object:
        """POST; a member that the server does not know is an error and not dropped in silence."""
        query = {"fieldManager": manager, "fieldValidation": "Strict", **_dry(dry)}
        path = self._path(item).rpartition("/")[0]
        return self._connection.request("POST", path, body=item, query=query)

    def apply(self, item: Object, manager: str, *, force: bool, dry: bool = False) -> Object:
        """Server-side apply. Fields of other managers with other values are a conflict unless forced."""
        query = {"fieldManager": manager, "force": "true" if force else "false", **_dry(dry)}
        return self._connection.request(
            "PATCH", self._path(item), body=item, query=query, content_type="application/apply-patch+yaml"
        )

    def put(self, item: Object, manager: str, *, dry: bool) -> Object:
        query = {"fieldManager": manager, "fieldValidation": "Strict", **_dry(dry)}
        return self._connection.request("PUT", self._path(item), body=item, query=query)

    def patch_json(self, item: Object, operations: list[Object]) -> Object:
        return self._connection.request(
            "PATCH", self._path(item), body=operations, content_type="application/json-patch+json"
        )

    def delete(self, item: Object, propagation: str) -> None:
        self._connection.request("DELETE", self._path(item), body={"propagationPolicy": propagation})


def _dry(dry: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry else {}
