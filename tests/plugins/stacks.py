"""A throw-away Pulumi stack in a directory of its own: file backend, passphrase, the real engine, our plug-ins."""

import base64
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.plugins.install import install
from embedded.tools import paths
from tests.apiserver import ApiServer

_TIMEOUT_SECONDS = 110
# Declares the objects of objects.json with the SDK's own classes. Fields of a declaration: resource (Pulumi name), object,
# optional options (protect, import, ignoreChanges, timeout, ...), optional secrets (paths whose text is a secret).
_PROGRAM = """
import json, re
from pathlib import Path
import pulumi
import pulumi_kubernetes as k8s

def snake(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\\1", name).lower()

def hidden(node, path):
    head, *rest = path
    if rest:
        hidden(node[head], rest)
    else:
        node[head] = pulumi.Output.secret(node[head])

made = {}
for entry in json.loads(Path("objects.json").read_text()):
    body = entry["object"]
    for path in entry.get("secrets", []):
        hidden(body, path)
    given = entry.get("options", {})
    timeout = given.get("timeout")
    options = pulumi.ResourceOptions(
        protect=given.get("protect"), import_=given.get("import"), ignore_changes=given.get("ignoreChanges"),
        depends_on=[made[name] for name in given.get("dependsOn", [])],
        retain_on_delete=given.get("retain"),
        custom_timeouts=pulumi.CustomTimeouts(create=timeout, update=timeout, delete=timeout) if timeout else None)
    version, kind = body["apiVersion"], body["kind"]
    group, _, number = version.rpartition("/")
    module = getattr(k8s, {"": "core", "rbac.authorization.k8s.io": "rbac"}.get(group, group.split(".")[0]), None)
    rest = {snake(key): value for key, value in body.items() if key not in ("apiVersion", "kind")}
    if module is None or (group and "." in group and not group.endswith(".k8s.io")):
        made[entry["resource"]] = k8s.apiextensions.CustomResource(
            entry["resource"], api_version=version, kind=kind, opts=options, **rest)
        continue
    made[entry["resource"]] = getattr(getattr(module, number), kind)(entry["resource"], opts=options, **rest)
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one pulumi command ended."""

    code: int
    text: str

    def ok(self) -> "Outcome":
        assert self.code == 0, self.text
        return self

    def failed(self, *words: str) -> "Outcome":
        assert self.code != 0, self.text
        for word in words:
            assert word in self.text, f'"{word}" is not in:\n{self.text}'
        return self


class Stack:
    """One stack named `test`; commands are methods."""

    def __init__(self, directory: Path, kubeconfig: Path | None, *, program: str = _PROGRAM) -> None:
        self.directory = directory
        self.project = directory / "project"
        self.backend = directory / "backend"
        home = directory / "home"
        for place in (self.project, self.backend, home):
            place.mkdir(parents=True)
        done = install(paths.path_of("pulumi"), home, paths.cache_root())
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("PULUMI", "KUBE"))},
            **done.environment,
            "PATH": f"{done.directory}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_CONFIG_PASSPHRASE": base64.b64encode(os.urandom(12)).decode(),
            "KUBECONFIG": str(kubeconfig) if kubeconfig else str(directory / "none"),
            "NO_COLOR": "1",
        }
        (self.project / "Pulumi.yaml").write_text("name: plugins\nruntime: python\n")
        self.write_program(program)
        self.declare()
        self.pulumi("stack", "init", "test").ok()

    def write_program(self, text: str) -> None:
        (self.project / "__main__.py").write_text(text)

    def declare(self, *entries: dict[str, Any]) -> None:
        """What the standard program makes from now on."""
        (self.project / "objects.json").write_text(json.dumps(entries))

    def configure(self, **options: str) -> None:
        """Options of the default kubernetes provider."""
        for name, value in options.items():
            self.pulumi("config", "set", f"kubernetes:{name}", value).ok()

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """A command in a process group of its own, for tests that end it."""
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def pulumi(self, *arguments: str, warns: bool = False) -> Outcome:
        """Run a command to its end. No run may warn, unless a test says that this one must."""
        child = self.start(*arguments)
        try:
            text, _ = child.communicate(timeout=_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            text, _ = child.communicate()
            raise AssertionError(f"pulumi {' '.join(arguments)} does not end:\n{text}") from None
        assert ("warning:" in text) is warns, text
        return Outcome(child.returncode, text)

    def preview(self, *arguments: str) -> Outcome:
        return self.pulumi("preview", "--diff", *arguments)

    def up(self, *arguments: str, warns: bool = False) -> Outcome:
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, warns=warns)

    def refresh(self, *arguments: str, warns: bool = False) -> Outcome:
        return self.pulumi("refresh", "--yes", "--skip-preview", *arguments, warns=warns)

    def destroy(self, *arguments: str) -> Outcome:
        return self.pulumi("destroy", "--yes", "--skip-preview", *arguments)

    def export(self) -> dict[str, Any]:
        """The decrypted state."""
        outcome = self.pulumi("stack", "export", "--show-secrets").ok()
        document: dict[str, Any] = json.loads(outcome.text)
        return document

    def resources(self) -> dict[str, dict[str, Any]]:
        """The kubernetes resources of the state, by their Pulumi name, secrets revealed."""
        found = self.export()["deployment"].get("resources", [])
        return {
            entry["urn"].rpartition("::")[2]: revealed(entry)
            for entry in found
            if entry["type"].startswith("kubernetes:") and entry.get("custom")
        }

    def raw_files(self) -> str:
        """Every file of the backend, as it lies on disk."""
        return "\n".join(path.read_text(errors="replace") for path in self.backend.rglob("*") if path.is_file())


def revealed(value: Any) -> Any:
    """A state value with its secrets in clear."""
    if isinstance(value, dict):
        if "4dabf18193072939515e22adb298388d" in value:
            return json.loads(value["plaintext"])
        return {key: revealed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [revealed(item) for item in value]
    return value


@contextlib.contextmanager
def namespace(server: ApiServer, name: str) -> Iterator[str]:
    """A namespace for one test; what is left in it is deleted without waiting."""
    server.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    try:
        yield name
    finally:
        server.request("DELETE", f"/api/v1/namespaces/{name}")
