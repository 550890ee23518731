"""The rest of what people do with pulumi: JSON, explicit providers, components, YAML groups, the Automation API, and
the language host's own duties."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from embedded.plugins import install as plugins
from tests.apiserver import ApiServer
from tests.plugins.stacks import Stack
from tests.plugins.test_life import config_map

pytestmark = [pytest.mark.pulumi, pytest.mark.spec("10.plugins")]

_PROGRAM = '''
import pathlib
import pulumi
import pulumi_kubernetes as k8s

config = pulumi.Config()
space = config.require("space")
provider = k8s.Provider("own", kubeconfig=pulumi.Output.secret(pathlib.Path(config.require("kubeconfig")).read_text()), namespace=space)


class Part(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("test:part:Part", name, None, opts)
        below = pulumi.ResourceOptions(parent=self)
        self.settings = k8s.core.v1.ConfigMap("settings", data={"a": "1"}, opts=below)
        service = k8s.core.v1.Service("service", spec={"ports": [{"port": 80}]}, opts=below)
        self.address = service.spec.apply(lambda spec: spec.cluster_ip)
        self.kind = service.spec.apply(lambda spec: spec.type)
        self.register_outputs({})


part = Part("part", pulumi.ResourceOptions(providers=[provider]))
group = k8s.yaml.ConfigGroup("group", yaml=[f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: one}}
data: {{x: y}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: two}}
"""], opts=pulumi.ResourceOptions(providers=[provider]))
found = k8s.core.v1.Namespace.get("found", space, opts=pulumi.ResourceOptions(provider=provider))
pulumi.export("name", part.settings.metadata.apply(lambda metadata: metadata.name))
pulumi.export("address", part.address)
pulumi.export("kind", part.kind)
pulumi.export("phase", found.status.apply(lambda status: status.phase))
'''


def test_a_program_with_everything(new_stack: Any, api_server: ApiServer, space: str) -> None:
    """Component, explicit provider with kubeconfig contents and namespace, ConfigGroup, .get, JSON preview."""
    stack: Stack = new_stack(program=_PROGRAM)
    for name, value in {"space": space, "kubeconfig": str(api_server.kubeconfig)}.items():
        stack.pulumi("config", "set", name, value).ok()
    shown = stack.preview().ok().text
    assert "address: [unknown]" in shown
    stack.up().ok()
    outputs = json.loads(stack.pulumi("stack", "output", "--json").ok().text)
    assert outputs["name"].startswith("settings-")
    assert outputs["address"].startswith("198.19.240.")
    assert (outputs["kind"], outputs["phase"]) == ("ClusterIP", "Active")
    assert api_server.exists(f"/api/v1/namespaces/{space}/configmaps/one")
    assert api_server.exists(f"/api/v1/namespaces/{space}/serviceaccounts/two")
    assert api_server.token not in stack.raw_files(), "the provider's kubeconfig is secret"
    steps = json.loads(stack.pulumi("preview", "--json").ok().text)["changeSummary"]
    assert set(steps) == {"read", "same"}
    stack.destroy().ok()
    assert not api_server.exists(f"/api/v1/namespaces/{space}/configmaps/one")


def test_programs_that_fail_are_told_plainly(stack: Stack) -> None:
    """RunError without a trace, other exceptions with theirs, exit codes as they are; and nothing is told twice."""
    stack.write_program('import pulumi\nraise pulumi.RunError("settings are wrong")\n')
    text = stack.preview().failed("settings are wrong").text
    assert "Traceback" not in text
    stack.write_program('raise ValueError("unforeseen")\n')
    text = stack.preview().failed("Program failed with an unhandled exception", "ValueError: unforeseen").text
    assert text.count("unforeseen\n") <= 3, "once where it is raised, once per display of the diagnostics"
    stack.write_program("import sys\nsys.exit(3)\n")
    stack.preview().failed("exit code 3")


def test_runtime_options_of_the_project(stack: Stack) -> None:
    """A virtualenv is used and missing ones are named; `pulumi install` makes it; what is not supported is refused."""
    project = stack.project / "Pulumi.yaml"
    stack.write_program("import sys, pathlib\npathlib.Path('python').write_text(sys.prefix)\n")
    options = "name: plugins\nruntime:\n  name: python\n  options:\n"
    project.write_text(f"{options}    toolchain: poetry\n")
    stack.preview().failed("toolchain", "poetry", "takes pip")
    project.write_text(f"{options}    virtualenv: own\n")
    stack.preview().failed("virtualenv", "pulumi install")
    stack.pulumi("install", "--no-plugins").ok()
    assert (stack.project / "own" / "bin" / "python").exists()
    [site] = (stack.project / "own" / "lib").glob("python*/site-packages")
    [ours] = (Path(sys.prefix) / "lib").glob("python*/site-packages")
    (site / "ours.pth").write_text(f"{ours}\n")
    stack.preview().ok()
    assert (stack.project / "python").read_text() == str(stack.project / "own")
    about = stack.pulumi("about").ok().text
    assert str(stack.project / "own" / "bin" / "python") in about


_AUTOMATION = """
import os, sys
import pulumi
from pulumi import automation

def program():
    import pulumi_kubernetes as k8s
    k8s.core.v1.ConfigMap("automated", metadata={"name": "automated", "namespace": sys.argv[1]}, data={"a": "b"})

stack = automation.create_or_select_stack(
    "automated", project_name="automation", program=program,
    opts=automation.LocalWorkspaceOptions(env_vars={"PULUMI_CONFIG_PASSPHRASE": "x"}))
print(stack.preview().change_summary)
print(stack.up().summary.resource_changes)
print(stack.up(expect_no_changes=True).summary.resource_changes)
stack.refresh(expect_no_changes=True)
stack.destroy()
"""


def test_the_automation_api_needs_no_language_host(
    stack: Stack, api_server: ApiServer, space: str, tmp_path: Path
) -> None:
    """An inline program is its own language host."""
    alone = tmp_path / "alone"
    alone.mkdir()
    pulumi = next(
        Path(part) / "pulumi"
        for part in stack.environment["PATH"].split(os.pathsep)
        if (Path(part) / "pulumi").exists()
    )
    os.link(pulumi, alone / "pulumi")
    environment = {**stack.environment, "PATH": f"{alone}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-c", _AUTOMATION, space],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "{'create': 2}" in done.stdout
    assert not api_server.exists(f"/api/v1/namespaces/{space}/configmaps/automated")


def test_an_official_provider_stands_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$PULUMI_K8S_PLUGIN, or an official plug-in in the cache, is used and ours stays out."""
    official = tmp_path / "official"
    official.write_bytes(b"\x7fELF")
    official.chmod(0o755)
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_bytes(b"\x7fELF")
    place = Path("plugins") / "resource-kubernetes-v4.32.0" / "pulumi-resource-kubernetes"
    monkeypatch.setenv("PULUMI_K8S_PLUGIN", str(official))
    done = plugins.install(program, tmp_path / "named", tmp_path / "cache")
    assert not done.own_provider
    assert f"exec {official}" in (tmp_path / "named" / place).read_text()
    monkeypatch.delenv("PULUMI_K8S_PLUGIN")
    kept = tmp_path / "kept" / place
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"\x7fELF official")
    kept.chmod(0o755)
    assert not plugins.install(program, tmp_path / "kept", tmp_path / "cache").own_provider
    assert kept.read_bytes() == b"\x7fELF official"
    host = program.with_name("pulumi-language-python")
    host.write_bytes(b"\x7fELF")
    host.chmod(0o755)
    done = plugins.install(program, tmp_path / "kept", tmp_path / "cache")
    assert (done.own_host, done.directory) == (False, program.parent)


def test_the_tool_cache_stays_as_it_is(tmp_path: Path) -> None:
    """The second name of `pulumi` is the same file; nothing is put beside the cached one; twice is once."""
    cached = tmp_path / "tools" / "pulumi"
    cached.parent.mkdir()
    cached.write_bytes(b"\x7fELF engine")
    first = plugins.install(cached, tmp_path / "home", tmp_path / "cache")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    second = plugins.install(cached, tmp_path / "home", tmp_path / "cache")
    assert first == second
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert [path.name for path in cached.parent.iterdir()] == ["pulumi"]
    assert (first.directory / "pulumi").samefile(cached)
    assert sorted(path.name for path in first.directory.iterdir()) == ["pulumi", "pulumi-language-python"]


def test_unsupported_provider_options_stop_the_preview(stack: Stack, space: str) -> None:
    stack.declare({"resource": "settings", "object": config_map(space, a="b")})
    stack.configure(renderYamlToDirectory="rendered")
    stack.preview().failed("renderYamlToDirectory is not supported by the stand-in provider")
