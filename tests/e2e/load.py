"""Load from inside a pod, while a test does something to the mesh."""

import json
import subprocess
from types import TracebackType
from typing import Any, Self

from tests.e2e.mesh_under_test import APP, MeshUnderTest

SLACK_SECONDS = 60.0


class InPod:
    """A command of the sample that runs in the first pod of an application and ends with a JSON report.

    Used as a context manager: entering waits until it has begun, leaving ends it if a test failed.
    """

    def __init__(self, mesh: MeshUnderTest, namespace: str, app: str, *command: str, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._command = mesh.kubectl.command(
            "-n", namespace, "exec", "-i", f"deployment/{app}", "-c", "app", "--", *APP, *command
        )
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        first = self._process.stderr.readline()
        assert "started" in first, first + self._process.stderr.read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def stop(self) -> dict[str, Any]:
        """End it now and return its report."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None
        return self.result()

    def result(self) -> dict[str, Any]:
        """Wait for its end and return its report."""
        assert self._process is not None
        # Not communicate(): it closes standard input, which is the sign to end.
        self._process.wait(self._seconds + SLACK_SECONDS)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        output, errors = self._process.stdout.read(), self._process.stderr.read()
        assert output.startswith("{"), f"it ended without a report: {output}{errors}"
        report: dict[str, Any] = json.loads(output)
        return report


class Load(InPod):
    """Requests at a fixed rate for some seconds; every failure is kept with its reason."""

    def __init__(
        self, mesh: MeshUnderTest, namespace: str, app: str, url: str, seconds: float, rate: float = 50.0, *more: str
    ) -> None:
        arguments = ("load", "--until-eof", url, "--rate", str(rate), "--seconds", str(seconds), *more)
        super().__init__(mesh, namespace, app, *arguments, seconds=seconds)


def assert_no_failure(report: dict[str, Any]) -> None:
    """Every request was answered."""
    assert report["failed"] == 0, {key: report[key] for key in ("sent", "failed", "reasons", "first_failures")}
