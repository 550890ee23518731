"""kubectl as samples and end-to-end tests use it: the locked binary, one kubeconfig, a time limit on every call."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.tools import paths

TIMEOUT_SECONDS = 60.0


class KubectlError(RuntimeError):
    """kubectl failed or took too long; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One cluster, named by its kubeconfig."""

    kubeconfig: Path

    def command(self, *arguments: str) -> list[str]:
        """Return the command line for *arguments*, for a caller that runs it by itself."""
        return [str(paths.path_of("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments]

    def run(self, *arguments: str, given: str = "", timeout_seconds: float = TIMEOUT_SECONDS) -> str:
        """Run kubectl with *given* on standard input and return its output. Raises KubectlError."""
        try:
            result = subprocess.run(
                self.command(*arguments),
                input=given,
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"kubectl {' '.join(arguments)}: not done after {timeout_seconds} s") from error
        if result.returncode:
            said = result.stderr.strip() or result.stdout.strip()
            raise KubectlError(f"kubectl {' '.join(arguments)}: {said}")
        return result.stdout

    def get(self, *arguments: str) -> Any:
        """Return the decoded objects of ``kubectl get``."""
        return json.loads(self.run("get", *arguments, "-o", "json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply *objects* by server-side apply."""
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.run("apply", "--server-side", "--force-conflicts", "-f", "-", given=manifest)

    def rollout(self, namespace: str, workload: str, timeout_seconds: float) -> None:
        """Wait until *workload*, such as ``deployment/shop``, is rolled out."""
        limit = f"--timeout={timeout_seconds:.0f}s"
        self.run("-n", namespace, "rollout", "status", workload, limit, timeout_seconds=timeout_seconds + 10)
