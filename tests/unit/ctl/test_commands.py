"""The command line itself: formats, exit status, and what it must not import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mesh.api.version import VERSION
from mesh.ctl import check, status
from mesh.ctl.checks.finding import Finding, Level
from mesh.ctl.main import cli

ROWS = [
    Finding("cluster", "nodes are ready"),
    Finding("nats", "bus is healthy", Level.FAILURE, "it is away", "start it"),
    Finding("nats", "bus is quick", Level.WARNING, "it is slow", "wait"),
]


@pytest.mark.spec("10.version")
def test_version_tells_the_client_without_a_cluster() -> None:
    result = CliRunner().invoke(cli, ["-k", "/nonexistent", "version"])
    assert (result.exit_code, result.output) == (0, f"nginx-meshctl - v{VERSION}\n")


def test_version_as_json_has_a_schema() -> None:
    document = json.loads(CliRunner().invoke(cli, ["version", "-o", "json"]).output)
    assert document == {"schema": "nginx-mesh/version/v1", "versions": {"nginx-meshctl": [VERSION]}}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_meshctl(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell])
    assert result.exit_code == 0
    assert "_MESHCTL_COMPLETE" in result.output


@pytest.mark.spec("10.fast")
@pytest.mark.parametrize(
    "verb", [["version"], ["completion", "bash"], ["inject", "--config-file", "CONFIG", "-f", "MANIFEST"]]
)
def test_quick_verbs_import_nothing_slow(verb: list[str], tmp_path: Path) -> None:
    """version, completion and offline inject stay quick because they never import what takes long."""
    (tmp_path / "CONFIG").write_text(json.dumps(SETTINGS))
    (tmp_path / "MANIFEST").write_text("kind: Pod\nspec:\n  containers: [{name: a, image: a}]\n")
    program = (
        "import atexit, sys\n"
        "slow = {'kubernetes', 'pulumi', 'cryptography', 'rich', 'aiohttp', 'asyncio', 'urllib3', 'pydantic', 'nats'}\n"
        "atexit.register(lambda: print('slow:', sorted(slow & set(sys.modules)), file=sys.stderr))\n"
        "from mesh.ctl.main import main\n"
        "main()\n"
    )
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", program, *verb]
    result = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=30, check=True
    )
    assert result.stderr.splitlines()[-1] == "slow: []"


SETTINGS = {
    "namespace": "nginx-mesh",
    "mtls": {"trustDomain": "example.org", "mode": "permissive"},
    "nginxErrorLogLevel": "warn",
    "registry": {"imagePullPolicy": "Never", "sidecarImage": "s:1", "sidecarInitImage": "i:1"},
}


@pytest.mark.spec("5.manual")
def test_inject_reads_standard_input_and_reports_on_standard_error(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(json.dumps(SETTINGS))
    given = json.dumps(
        {"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    )
    result = CliRunner().invoke(cli, ["inject", "--config-file", str(tmp_path / "config")], input=given)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["spec"]["initContainers"][1]["image"] == "s:1"
    assert result.stderr == "injected Pod/p\n"


def test_inject_names_what_it_refuses(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(json.dumps(SETTINGS))
    result = CliRunner().invoke(
        cli, ["inject", "--config-file", str(tmp_path / "config")], input="kind: Pod\nspec: {}\n"
    )
    assert result.exit_code == 1
    assert "Pod/: spec.containers" in result.output


def test_no_kubeconfig_is_told_with_the_remedy(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["-k", str(tmp_path / "none"), "config"])
    assert result.exit_code == 1
    assert "--kubeconfig" in result.output


@pytest.mark.spec("10.check")
def test_check_document_is_versioned() -> None:
    document = check.as_document(ROWS)
    assert (document["schema"], document["ok"]) == ("nginx-mesh/check/v1", False)
    assert document["findings"][1] == {
        "category": "nats",
        "subject": "bus is healthy",
        "level": "failure",
        "cause": "it is away",
        "repair": "start it",
    }
    assert check.as_document(ROWS[::2])["ok"]


@pytest.mark.spec("10.check")
def test_check_table_shows_cause_and_repair_of_what_is_not_well() -> None:
    lines = check.as_table(ROWS).splitlines()
    assert [line for line in lines if line.strip().startswith(("cause", "repair"))] == [
        "      cause:  it is away",
        "      repair: start it",
        "      cause:  it is slow",
        "      repair: wait",
    ]
    assert lines[-1] == "1 passed, 1 warnings, 1 failed"


def test_status_table_lists_parts_and_sidecars() -> None:
    document = {
        "namespace": "nginx-mesh",
        "version": "0.1.0",
        "bus_connected": True,
        "parts": [{"kind": "Deployment", "name": "nats-server", "ready": 1, "desired": 1}],
        "transparent": {"reason": "Proxying", "message": "traffic is proxied"},
        "sidecars": [{"namespace": "shop", "sidecars": 2, "ready": 2, "current": 1}],
    }
    lines = status.as_table(document).splitlines()
    assert "deployment/nats-server  1/1" in lines
    assert lines[0] == "mesh 0.1.0 in namespace nginx-mesh, bus connected"
    assert lines[-1].split() == ["shop", "2", "2", "1"]
    removal = document | {"transparent": {"reason": "Opening", "message": "1 of 2 sidecars accept plaintext"}}
    assert status.as_table(removal).splitlines()[-1] == (
        "transparent proxies, Opening: 1 of 2 sidecars accept plaintext"
    )
