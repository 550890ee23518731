"""What a failed case leaves for the reader: pods, events, logs, NGINX's state."""

from samples.kubectl import Kubectl, KubectlError
from tests.e2e.mesh_under_test import NAMESPACE

_TAIL = "--tail=40"


def dump(kubectl: Kubectl, namespaces: list[str]) -> str:
    """Return everything about *namespaces* and the mesh's own that explains a failure."""
    commands = [command for namespace in [*namespaces, NAMESPACE] for command in _commands(kubectl, namespace)]
    return "\n".join(f"--- kubectl {' '.join(command)}\n{_output(kubectl, command)}" for command in commands)


def _commands(kubectl: Kubectl, namespace: str) -> list[tuple[str, ...]]:
    logs = (
        ("-n", namespace, "logs", name, "--all-containers", "--prefix", _TAIL) for name in _pods(kubectl, namespace)
    )
    return [
        ("-n", namespace, "get", "pods,deployments,services,endpointslices", "-o", "wide"),
        ("-n", namespace, "get", "events", "--sort-by=.lastTimestamp"),
        *logs,
    ]


def _pods(kubectl: Kubectl, namespace: str) -> list[str]:
    return _output(kubectl, ("-n", namespace, "get", "pods", "-o", "name")).split()


def _output(kubectl: Kubectl, command: tuple[str, ...]) -> str:
    try:
        return kubectl.run(*command, timeout_seconds=20)
    except KubectlError as error:
        return str(error)
