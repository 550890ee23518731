"""How long a change of endpoints takes to reach every sidecar: one clock, from the API server's word to NGINX's."""

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.controlplane.sidecar_view import control_status, state_document
from samples.kubectl import Kubectl

POLL_SECONDS = 0.02

Places = frozenset[str]


@dataclass(slots=True)
class Change:
    """One new set of ready addresses: when the API server told of it, and when each sidecar routed by it (seconds)."""

    wanted: Places
    at: float
    seen: dict[str, float] = field(default_factory=dict)

    @property
    def last_seconds(self) -> float:
        """Time until the last sidecar routed by it."""
        return max(self.seen.values()) - self.at


class Propagation:
    """Watches the EndpointSlices of one Service, and asks each sidecar in *sidecars* (name to process id) what it routes by.

    A change that is overtaken by the next one before all sidecars had it counts until they route by the later one.
    """

    def __init__(self, kubectl: Kubectl, namespace: str, service: str, sidecars: Mapping[str, int]) -> None:
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        query = f"watch=1&labelSelector=kubernetes.io%2Fservice-name%3D{service}"
        self._command = kubectl.command("get", "--raw", f"{path}?{query}")
        self._upstream = f"{namespace}/{service}"
        self._sidecars = dict(sidecars)
        self._slices: dict[str, Places] = {}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._pending: list[Change] = []
        self._routed: dict[str, Places] = {}
        self._ending = ExitStack()
        self.changes: list[Change] = []

    def __enter__(self) -> Self:
        watch = self._ending.enter_context(subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True))
        threads = [threading.Thread(target=self._follow, args=(watch.stdout,)), threading.Thread(target=self._poll)]
        for thread in threads:
            thread.start()
            self._ending.callback(thread.join, 10)
        self._ending.callback(watch.kill)
        self._ending.callback(self._stop.set)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()

    @property
    def settled(self) -> bool:
        """Whether every change so far has reached every sidecar."""
        with self._lock:
            return bool(self.changes) and not self._pending

    @property
    def wanted(self) -> Places:
        """The ready addresses as the API server has them."""
        with self._lock:
            return self.changes[-1].wanted if self.changes else frozenset()

    def _follow(self, lines: Iterable[str]) -> None:
        for line in lines:
            at = time.monotonic()
            event = json.loads(line)
            part = event["object"]
            with self._lock:
                before = self._all()
                self._slices[part["metadata"]["name"]] = frozenset() if event["type"] == "DELETED" else _ready(part)
                if self._all() != before:
                    change = Change(self._all(), at)
                    self.changes.append(change)
                    self._pending.append(change)

    def _all(self) -> Places:
        return frozenset().union(*self._slices.values())

    def _poll(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            with self._lock:
                is_idle = not self._pending
            if not is_idle:
                for name, pid in list(self._sidecars.items()):
                    self._ask(name, pid)

    def _ask(self, name: str, pid: int) -> None:
        if not Path(f"/proc/{pid}").exists():
            self._leave_out(name)
            return
        try:
            document = state_document(pid)
            status = control_status(pid)
        except (OSError, http.client.HTTPException):
            return  # Asked again at once; a sidecar that stays silent shows as a change that never settles.
        at = time.monotonic()
        # The document that was read is what NGINX routes by, once NGINX says its revision.
        if document[0][2] == status["revision"]:
            with self._lock:
                self._note(name, endpoints_of(document, self._upstream), at)

    def _note(self, name: str, routed: Places, at: float) -> None:
        position = next((i for i, change in enumerate(self._pending) if self._matches(change, routed)), None)
        if position is None:
            return
        for change in self._pending[: position + 1]:
            change.seen.setdefault(name, at)
        self._pending = [change for change in self._pending if not self._sidecars.keys() <= change.seen.keys()]

    def _leave_out(self, name: str) -> None:
        """Ask no more of a pod that has ended."""
        with self._lock:
            self._sidecars.pop(name, None)
            self._pending = [change for change in self._pending if not self._sidecars.keys() <= change.seen.keys()]

    def _matches(self, change: Change, routed: Places) -> bool:
        others = frozenset().union(*(other.wanted for other in self.changes)) - change.wanted
        return change.wanted <= routed and not (others & routed)


def endpoints_of(document: list[list[str]], upstream: str) -> Places:
    """The addresses of a Service's endpoints in a state document (docs/reference/nginx-state.md)."""
    numbers = {row[1] for row in document if row[0] == "upstream" and row[2] == upstream}
    return frozenset(row[2] for row in document if row[0] == "endpoint" and row[1] in numbers)


def _ready(part: dict[str, Any]) -> Places:
    found = []
    for endpoint in part.get("endpoints") or []:
        conditions = endpoint.get("conditions") or {}
        if conditions.get("ready") is not False and not conditions.get("terminating"):
            found.extend(endpoint["addresses"])
    return frozenset(found)


def quantile(values: list[float], share: float) -> float:
    """The value below which *share* of *values* lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
