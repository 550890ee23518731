"""`make up` after a `pulumi` that was killed, after a cluster that was thrown away, and on a cluster that was there before."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from embedded import stack, up
from embedded.steps import StepError
from embedded.tools import environment, paths

PROGRAM = "name: nginx-mesh\nruntime: yaml\n"


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a cluster `one` whose state is this test's; a Pulumi project beside it."""
    monkeypatch.setenv("NGINX_MESH_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "Pulumi.yaml").write_text(PROGRAM)
    monkeypatch.setenv("PATH", environment.environment("one")["PATH"])
    return environment.environment("one")


def make_stack(variables: dict[str, str]) -> None:
    command = ["pulumi", "stack", "init", "one", *stack.FLAGS]
    subprocess.run(command, cwd=paths.ROOT, env={**os.environ, **variables}, check=True, capture_output=True)


def write_lock(variables: dict[str, str], pid: int, hostname: str) -> Path:
    """The file that an operation of `pulumi` keeps in the backend while it runs."""
    place = Path(variables["PULUMI_BACKEND_URL"].removeprefix("file://")) / ".pulumi/locks/organization/nginx-mesh/one"
    place.mkdir(parents=True, exist_ok=True)
    lock = place / "0b0f1c6c-0000-4000-8000-000000000000.json"
    owner = {"pid": pid, "username": "someone", "hostname": hostname, "timestamp": "2026-01-01T00:00:00Z"}
    lock.write_text(json.dumps(owner))
    return lock


@pytest.mark.tools
async def test_a_stack_is_known_after_it_was_made(variables: dict[str, str]) -> None:
    assert not await stack.exists("one", variables)
    make_stack(variables)
    assert await stack.exists("one", variables)


@pytest.mark.tools
async def test_the_lock_of_a_killed_pulumi_is_released(variables: dict[str, str]) -> None:
    """A process of this machine that is gone cannot go on; without this every later `up` is refused."""
    make_stack(variables)
    ended = subprocess.Popen(["true"])
    ended.wait()
    lock = write_lock(variables, ended.pid, os.uname().nodename)
    assert await stack.free_stale_lock("one", variables)
    assert not lock.exists()


@pytest.mark.tools
@pytest.mark.parametrize("elsewhere", [True, False])
async def test_a_lock_that_may_be_held_is_respected(variables: dict[str, str], *, elsewhere: bool) -> None:
    """A living process, or one of another machine."""
    make_stack(variables)
    lock = write_lock(variables, 1 if elsewhere else os.getpid(), "elsewhere" if elsewhere else os.uname().nodename)
    assert not await stack.free_stale_lock("one", variables)
    assert lock.exists()


def test_the_salt_of_a_lost_stack_is_forgotten_and_nothing_else(tmp_path: Path) -> None:
    """The salt belongs to a passphrase that is gone with the state; the settings stay."""
    settings = tmp_path / "Pulumi.dev.yaml"
    settings.write_text("encryptionsalt: v1:abc\nconfig:\n  nginx-mesh:mtls:\n    mode: strict # kept\n")
    stack.forget_salt(settings)
    assert settings.read_text() == "config:\n  nginx-mesh:mtls:\n    mode: strict # kept\n"
    stack.forget_salt(tmp_path / "absent.yaml")


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: other
clusters: [{name: far, cluster: {server: "https://far.example"}}, {name: near, cluster: {server: "https://near.example"}}]
users: [{name: me, user: {token: a-token}}]
contexts: [{name: other, context: {cluster: far, user: me}}, {name: mine, context: {cluster: near, user: me}}]
"""


@pytest.mark.tools
async def test_a_context_is_copied_alone_and_private(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every later command uses the asked-for context, whatever the user's current one becomes."""
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    await up.use_context("one", "mine")
    copied = Path(variables["KUBECONFIG"])
    assert "near.example" in copied.read_text()
    assert "far.example" not in copied.read_text()
    assert copied.stat().st_mode & 0o777 == 0o600


@pytest.mark.tools
async def test_an_embedded_cluster_is_not_taken_over_by_a_context(variables: dict[str, str]) -> None:
    (Path(variables["KUBECONFIG"]).parent / "cluster.json").write_text("{}")
    with pytest.raises(StepError, match="one is the name of an embedded cluster"):
        await up.use_context("one", "mine")
