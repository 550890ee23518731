"""The process that keeps claims and volumes in step: ``python -m embedded.cluster.provisioner STATE_DIRECTORY``.

It acts on what the API server holds now, whatever happened before; watches only say when to look. It runs on the host,
where the directories of all nodes are.
"""

import contextlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from embedded.cluster import addresses, api, places, settings, storage

CLAIMS = "/api/v1/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
WATCH_SECONDS = 240
RETRY_SECONDS = 2.0


class Provisioner:
    """Makes and removes volumes of one cluster."""

    def __init__(self, plan: addresses.Plan, where: places.Places, client: api.Api) -> None:
        self._where = where
        self._client = client
        self._numbers = {node.name: node.number for node in plan.nodes}
        self._told: set[tuple[str, str]] = set()

    def step(self) -> None:
        """Look once and do everything that is to be done."""
        claims = self._client.get(CLAIMS)["items"]
        volumes = self._client.get(VOLUMES)["items"]
        classes = self._client.get(CLASSES)["items"]
        for action in storage.plan(claims, volumes, classes, tuple(self._numbers)):
            match action:
                case storage.Make():
                    self._make(action)
                case storage.Remove():
                    self._remove(action)
                case storage.Refuse():
                    self._refuse(action)

    def _directory(self, name: str, node: str) -> Path | None:
        number = self._numbers.get(node)
        return None if number is None else self._where.node(number).volumes / name

    def _make(self, action: storage.Make) -> None:
        directory = self._directory(action.name, action.node)
        if directory is None:
            return
        directory.mkdir(parents=True, exist_ok=True)
        # Pods of any user may write; fsGroup narrows this where a pod asks for it.
        directory.chmod(0o777)
        self._client.create(VOLUMES, action.volume)
        _say("volume made", name=action.name, node=action.node)

    def _remove(self, action: storage.Remove) -> None:
        directory = self._directory(action.name, action.node)
        if directory is not None and directory.exists():
            shutil.rmtree(directory)
        self._client.delete(f"{VOLUMES}/{action.name}")
        _say("volume removed", name=action.name, node=action.node)

    def _refuse(self, action: storage.Refuse) -> None:
        metadata = action.claim["metadata"]
        if (metadata["uid"], action.reason) in self._told:
            return
        self._told.add((metadata["uid"], action.reason))
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "type": "Warning",
            "reason": "ProvisioningFailed",
            "message": action.reason,
            "source": {"component": storage.PROVISIONER},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self._client.create(f"/api/v1/namespaces/{metadata['namespace']}/events", event)
        _say("claim refused", name=metadata["name"], reason=action.reason)


def watch(connect: Callable[[], api.Api], path: str, changed: threading.Event) -> None:
    """Set *changed* whenever something in the collection *path* changes, for ever."""
    client = connect()
    while True:
        try:
            for _ in client.changes(path, WATCH_SECONDS):
                changed.set()
        except api.ApiError as error:
            _say("watch interrupted", path=path, reason=str(error))
            time.sleep(RETRY_SECONDS)
        changed.set()


def run(root: Path) -> None:
    """Keep claims and volumes of the cluster with state directory *root* in step, for ever."""
    where = places.Places(root)
    plan = settings.load(where).plan(root.name)

    def connect() -> api.Api:
        return api.Api(plan.api_url, where.pki, "provisioner")

    provisioner = Provisioner(plan, where, connect())
    changed = threading.Event()
    for path in (CLAIMS, VOLUMES):
        threading.Thread(target=watch, args=(connect, path, changed), daemon=True).start()
    while True:
        changed.wait()
        changed.clear()
        try:
            provisioner.step()
        except (api.ApiError, OSError) as error:
            _say("step failed", reason=str(error))
            time.sleep(RETRY_SECONDS)
            changed.set()


def _say(event: str, **fields: str) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    print(json.dumps({"time": now, "event": event, **fields}), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        run(Path(sys.argv[1]))
