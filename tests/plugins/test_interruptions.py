"""Updates that end too early, and servers that go away: nothing is forgotten, nothing is left running."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.apiserver import ApiServer
from tests.plugins.stacks import Stack
from tests.plugins.test_life import config_map, deployment
from tests.plugins.workloads import Workloads

pytestmark = [pytest.mark.pulumi, pytest.mark.spec("10.interrupted")]


def processes_of(session: int) -> set[int]:
    """Live processes of a session: the engine, its plug-ins and the program."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # ended in between
            if int(fields[3]) == session and fields[0] != "Z":
                found.add(int(entry.name))
    return found


def wait_until(what: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "too late"
        time.sleep(0.05)


def interrupted(stack: Stack, server: ApiServer, path: str, how: signal.Signals) -> tuple[int, str]:
    """Run `up`, end it once the object is there; (session, output). All of its processes are gone afterwards."""
    child = stack.start("up", "--yes", "--skip-preview")
    server.wait_for(path)
    if how is signal.SIGKILL:
        os.kill(child.pid, how)
    else:
        os.killpg(child.pid, how)
    text, _ = child.communicate(timeout=60)
    wait_until(lambda: not processes_of(child.pid))
    return child.returncode, text


def test_ctrl_c_keeps_the_object_and_its_reason(
    stack: Stack, api_server: ApiServer, workloads: Workloads, space: str
) -> None:
    """Cancel reaches the wait; the state is saved and unlocked; the next up goes on."""
    name = f"{space}-slow"
    workloads.hold.add(name)
    stack.declare({"resource": "web", "object": deployment(space, name)})
    path = f"/apis/apps/v1/namespaces/{space}/deployments/{name}"
    code, text = interrupted(stack, api_server, path, signal.SIGINT)
    assert code != 0
    assert "cancelled while waiting" in text
    assert stack.resources()["web"]["id"] == f"{space}/{name}"
    workloads.release(name)
    assert "~ 1 updated" in stack.up().ok().text
    stack.destroy().ok()


def test_kill_9_leaves_no_process_and_the_object_can_be_adopted(
    stack: Stack, api_server: ApiServer, workloads: Workloads, space: str
) -> None:
    """The official way: the object is in the cluster and pending in the state; an import takes it in."""
    name = f"{space}-slow"
    workloads.hold.add(name)
    stack.declare({"resource": "web", "object": deployment(space, name)})
    path = f"/apis/apps/v1/namespaces/{space}/deployments/{name}"
    interrupted(stack, api_server, path, signal.SIGKILL)
    stack.up().failed("locked")
    stack.pulumi("cancel", "--yes").ok()
    workloads.release(name)
    uid = api_server.request("GET", path)["metadata"]["uid"]
    stack.up(warns=True).failed("already exists", f"pulumi import kubernetes:apps/v1:Deployment NAME {space}/{name}")
    stack.refresh("--clear-pending-creates").ok()
    token = "kubernetes:apps/v1:Deployment"
    stack.pulumi("import", token, "web", f"{space}/{name}", "--yes", "--generate-code=false", "--protect=false").ok()
    stack.up().ok()
    stack.up("--expect-no-changes").ok()
    assert api_server.request("GET", path)["metadata"]["uid"] == uid
    stack.destroy().ok()


def test_with_upsert_an_interrupted_up_is_repeated(
    stack: Stack, api_server: ApiServer, workloads: Workloads, space: str
) -> None:
    name = f"{space}-slow"
    workloads.hold.add(name)
    stack.configure(upsertExistingObjects="true")
    stack.declare({"resource": "web", "object": deployment(space, name)})
    path = f"/apis/apps/v1/namespaces/{space}/deployments/{name}"
    interrupted(stack, api_server, path, signal.SIGKILL)
    stack.pulumi("cancel", "--yes").ok()
    workloads.release(name)
    uid = api_server.request("GET", path)["metadata"]["uid"]
    stack.up(warns=True).ok()
    stack.refresh("--clear-pending-creates").ok()
    stack.up("--expect-no-changes").ok()
    assert api_server.request("GET", path)["metadata"]["uid"] == uid
    stack.declare({"resource": "web", "object": deployment(space, name, mode="two")})
    stack.up().ok()
    stack.destroy().ok()


def test_an_unreachable_cluster_fails_a_refresh_and_loses_nothing(new_stack: Any, tmp_path: Path, space: str) -> None:
    """No answer is not "gone": the state keeps every object, and names the reason."""
    stack: Stack = new_stack()
    stack.declare({"resource": "settings", "object": config_map(space, mode="a")})
    stack.up().ok()
    document = yaml.safe_load(Path(stack.environment["KUBECONFIG"]).read_text())
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    away = tmp_path / "away"
    away.write_text(yaml.safe_dump(document))
    reachable = stack.environment["KUBECONFIG"]
    stack.environment["KUBECONFIG"] = str(away)
    stack.refresh().failed("https://127.0.0.1:1 does not answer")
    assert set(stack.resources()) == {"settings"}
    stack.environment["KUBECONFIG"] = reachable
    stack.refresh("--expect-no-changes").ok()
    stack.destroy().ok()


def test_an_api_server_that_comes_back_is_waited_for(stack: Stack, api_server: ApiServer, space: str) -> None:
    stack.declare({"resource": "settings", "object": config_map(space, mode="a")})
    api_server.stop_api_server()
    try:
        child = stack.start("up", "--yes", "--skip-preview")
    finally:
        api_server.start_api_server()
    text, _ = child.communicate(timeout=60)
    assert child.returncode == 0, text
    stack.destroy().ok()


def test_the_program_ends_with_its_host(stack: Stack) -> None:
    """A host that is killed takes the program along, and the engine reports it."""
    stack.write_program("import pathlib, time\npathlib.Path('started').touch()\ntime.sleep(600)\n")
    child = stack.start("preview")
    wait_until((stack.project / "started").exists)
    command = ["pgrep", "-s", str(child.pid), "-f", "run_module..embedded.plugins.language"]
    [host] = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(host), signal.SIGKILL)
    child.communicate(timeout=60)
    assert child.returncode != 0
    wait_until(lambda: not processes_of(child.pid))
