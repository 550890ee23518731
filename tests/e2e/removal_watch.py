"""What somebody sees who watches the MeshConfig while a mesh is removed."""

import json
import subprocess
from types import TracebackType
from typing import Any, Self

from mesh.api import names
from tests.e2e.mesh_under_test import NAMESPACE, MeshUnderTest


class Watch:
    """`kubectl get --watch` of the MeshConfig, from entering to leaving."""

    def __init__(self, mesh: MeshUnderTest) -> None:
        self._command = mesh.kubectl.command(
            *("-n", NAMESPACE, "get", "meshconfig", names.MESH_CONFIG_NAME, "--watch", "-o", "json"),
            "--output-watch-events",
        )
        self._process: subprocess.Popen[str] | None = None
        self._said = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._said, _ = self._process.communicate(timeout=10)

    def statuses(self) -> list[dict[str, Any]]:
        """The status at each change, oldest first; after leaving."""
        found, rest, decoder = [], self._said.lstrip(), json.JSONDecoder()
        while rest:
            try:
                event, end = decoder.raw_decode(rest)
            except ValueError:  # the last one was cut short
                break
            found.append(event["object"].get("status", {}))
            rest = rest[end:].lstrip()
        return found
