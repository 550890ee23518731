"""Create and update one object: previews by the server's dry run, then for real, then the wait.

Who owns which field is as with the official provider: a POST as `pulumi-kubernetes` makes the object; from the first
update on it is applied by its own random manager, which takes over what that POST and kubectl wrote, and meets anybody
else's fields with a conflict unless told to force.
"""

import copy
import time
from typing import Any

from embedded.plugins.kubernetes import managers, state
from embedded.plugins.kubernetes.cluster import Cluster, NoSuchKind
from embedded.plugins.kubernetes.connection import ApiError, Unreachable
from embedded.plugins.kubernetes.properties import UNKNOWN, Object, has_unknown
from embedded.plugins.kubernetes.waiting import Patience, until_ready

_MISORDERED_SECONDS = 30.0
"""How long a create waits for its namespace or its definition to appear."""


class Conflict(ApiError):
    """Another manager owns a field that the program sets to another value."""

    def __init__(self, error: ApiError, manager: str) -> None:
        super().__init__(
            error.status,
            error.reason,
            f'field manager "{manager}": {error.message}\n'
            "Another manager owns the field: leave it out of the program, give it the same value, or take it over with "
            'the annotation pulumi.com/patchForce: "true"',
            error.details,
        )


class AlreadyExists(ApiError):
    """An object of that name is there and not in the stack's state."""

    def __init__(self, error: ApiError, token: str, identity: str) -> None:
        super().__init__(
            error.status,
            error.reason,
            f"{error.message}\nIt is not in this stack's state. To adopt it: pulumi import {token} NAME {identity}, after an "
            "interrupted update preceded by pulumi refresh --clear-pending-creates; or set upsertExistingObjects on the "
            "provider",
            error.details,
        )


def preview_create(inputs: Object, cluster: Cluster) -> Object:
    """What a create would give, with everything unknown that only the server decides.

    ApiError when the server would refuse it. An object whose namespace or kind is still to come cannot be tried.
    """
    if has_unknown(inputs):
        return foreseen(inputs, inputs)
    try:
        return foreseen(inputs, cluster.create(inputs, state.CREATION_MANAGER, dry=True))
    except (NoSuchKind, Unreachable):
        return foreseen(inputs, inputs)
    except ApiError as error:
        # AlreadyExists: in a replacement the old object is still there, and a preview cannot tell.
        if error.reason in {"AlreadyExists", "Forbidden"} or _lacks_namespace(error):
            return foreseen(inputs, inputs)
        raise


def _lacks_namespace(error: ApiError) -> bool:
    return error.status == 404 and error.details.get("kind") == "namespaces"


def foreseen(inputs: Object, result: Object) -> Object:
    """A dry run's result without what it made up: uid, cluster address, status."""
    live = copy.deepcopy(result)
    live["status"] = UNKNOWN
    given = inputs.get("metadata")
    if isinstance(given, dict) and isinstance(live.get("metadata"), dict):
        for member in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
            live["metadata"][member] = UNKNOWN
    for kind, members in _SERVER_CHOSEN.items():
        if inputs.get("kind") == kind and isinstance(live.get("spec"), dict):
            for member in members:
                if not (inputs.get("spec") or {}).get(member):
                    live["spec"][member] = UNKNOWN
    return live


_SERVER_CHOSEN = {
    "Service": ("clusterIP", "clusterIPs"),
    "PersistentVolumeClaim": ("volumeName",),
    "Pod": ("nodeName",),
}


def create(inputs: Object, token: str, cluster: Cluster, manager: str, patience: Patience) -> Object:
    """Make the object and wait until it is ready."""
    live = _created(inputs, token, cluster, manager, patience)
    if inputs["kind"] == "CustomResourceDefinition":
        live = until_ready(live, inputs, cluster, patience)
        cluster.forget_kinds()
        return live
    return until_ready(live, inputs, cluster, patience)


def _created(inputs: Object, token: str, cluster: Cluster, manager: str, patience: Patience) -> Object:
    end = time.monotonic() + min(_MISORDERED_SECONDS, patience.seconds(inputs))
    pause = 0.2
    while True:
        try:
            if cluster.options.upsert:
                return _applied(inputs, None, cluster, manager)
            return cluster.create(inputs, state.CREATION_MANAGER, dry=False)
        except (ApiError, NoSuchKind) as error:
            if isinstance(error, ApiError) and error.reason == "AlreadyExists":
                raise AlreadyExists(error, token, state.identity(inputs)) from error
            too_early = isinstance(error, NoSuchKind) or error.status == 404
            if not too_early or time.monotonic() > end or patience.stop.wait(pause):
                raise
            patience.tell(f"waiting for what it needs: {error}")
            pause = min(2.0, pause * 1.5)


def preview_update(inputs: Object, ignored: list[str], cluster: Cluster, manager: str) -> Object:
    """What an update would give; ApiError when the server would refuse it."""
    if has_unknown(inputs):
        return inputs
    try:
        live = cluster.get(inputs)
        if _is_definition(inputs):
            return cluster.put(_with_version(inputs, live), manager, dry=True)
        wanted = managers.without_ignored(inputs, live, ignored, manager)
        return _applied(wanted, live, cluster, manager, dry=True)
    except (NoSuchKind, Unreachable):
        return inputs
    except ApiError as error:
        if error.status in {403, 404}:
            return inputs
        raise


def update(inputs: Object, ignored: list[str], cluster: Cluster, manager: str, patience: Patience) -> Object:
    """Bring the object to the inputs and wait until it is ready."""
    live = cluster.get(inputs)
    if _is_definition(inputs):
        # As kubectl replace: an apply would merge the old versions' schemas with the new.
        live = cluster.put(_with_version(inputs, live), manager, dry=False)
        cluster.forget_kinds()
    else:
        live = managers.taken_over(live, cluster, manager)
        wanted = managers.without_ignored(inputs, live, ignored, manager)
        live = _applied(wanted, live, cluster, manager)
    return until_ready(live, inputs, cluster, patience)


def relinquish(live: Object, cluster: Cluster, manager: str) -> None:
    """Give up what a former field manager of this object owned."""
    metadata = live["metadata"]
    bare = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    cluster.apply({"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": bare}, manager, force=False)


def _applied(inputs: Object, live: Object | None, cluster: Cluster, manager: str, *, dry: bool = False) -> Object:
    force = (
        state.annotation(inputs, "pulumi.com/patchForce") == "true"
        or cluster.options.patch_force
        or (live is not None and not live["metadata"].get("managedFields"))
        # Its own POST still owns the fields; the real update takes them over first.
        or (dry and live is not None and managers.has_own_updates(live))
    )
    try:
        return cluster.apply(inputs, manager, force=force, dry=dry)
    except ApiError as error:
        if error.status == 409 and error.reason == "Conflict":
            raise Conflict(error, manager) from error
        raise


def _is_definition(inputs: Object) -> bool:
    return bool(inputs["kind"] == "CustomResourceDefinition")


def _with_version(inputs: Object, live: Object) -> Object:
    result: dict[str, Any] = copy.deepcopy(inputs)
    result["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
    return result
