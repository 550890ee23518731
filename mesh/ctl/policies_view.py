"""A policy, and what became of it, for people."""

from collections.abc import Iterable, Mapping
from typing import Any

from mesh.api import schema
from mesh.api.policy import Policy
from mesh.compiler.outcome import PolicyKey
from mesh.ctl.live import Live


def policy_document(live: Live, kind: str, key: str) -> dict[str, Any]:
    """Describe the policy *key* (``namespace/name``) of a *kind*, also where there is none any more."""
    import yaml

    namespace, _, name = key.partition("/")
    outcome = live.compilation.policies.get(PolicyKey(kind, namespace, name))
    policy = next((row for row in _policies(live, namespace) if (row.kind, row.name) == (kind, name)), None)
    spec = _as_written(policy.spec) if policy else {}
    return {
        "kind": kind,
        "namespace": namespace,
        "name": name,
        "accepted": bool(outcome and outcome.accepted),
        "reason": outcome.reason if outcome else "NotFound",
        "message": outcome.message if outcome else "there is no such object any more",
        "says": yaml.safe_dump(spec, sort_keys=False).splitlines() if spec else [],
    }


def policy_documents(live: Live, wanted: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Describe several, each (kind, ``namespace/name``) once, in their order."""
    return [policy_document(live, kind, key) for kind, key in sorted(set(wanted))]


def _policies(live: Live, namespace: str) -> Iterable[Policy[Any]]:
    view = live.snapshot.namespaces.get(namespace)
    return view.policies if view else ()


def _as_written(value: Any) -> Any:
    """Members by the names that manifests have; what nobody gave is left out."""
    if schema.is_declaration(type(value)):
        given = {row.name: getattr(value, row.attribute) for row in schema.members(type(value))}
        return {name: _as_written(item) for name, item in given.items() if item not in (None, (), {}, "")}
    if isinstance(value, Mapping):
        return {name: _as_written(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_as_written(item) for item in value]
    return value if isinstance(value, int | float) else str(value)
