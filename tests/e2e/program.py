"""The Pulumi program on the stack of the cluster, by the plain command line."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from embedded.tools import environment, paths

TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Program:
    """``pulumi`` with the environment that `make env` gives."""

    stack: str

    @property
    def settings_file(self) -> Path:
        """The stack's configuration file."""
        return paths.ROOT / "stacks" / f"Pulumi.{self.stack}.yaml"

    def settings(self) -> dict[str, Any]:
        """Return the stack's configuration."""
        settings: dict[str, Any] = yaml.safe_load(self.settings_file.read_text(encoding="utf-8"))["config"]
        return settings

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run pulumi on the stack; the caller judges the exit status."""
        command = ["pulumi", *arguments, "--stack", self.stack, "--non-interactive", "--color", "never"]
        variables = environment.environment(self.stack)
        return subprocess.run(
            command, cwd=paths.ROOT, env=variables, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start pulumi on the stack, for who wants to interrupt it; what it prints is lost."""
        command = ["pulumi", *arguments, "--stack", self.stack, "--non-interactive", "--color", "never"]
        return subprocess.Popen(
            command,
            cwd=paths.ROOT,
            env=environment.environment(self.stack),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def succeed(self, *arguments: str) -> str:
        """Run pulumi and return what it printed; AssertionError with all of it when it failed."""
        result = self.run(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def up(self, *arguments: str) -> str:
        """Bring the cluster to what the stack says."""
        return self.succeed("up", "--yes", "--skip-preview", *arguments)
