"""The lock: what decides a tool's content decides its digest; contradictions and unknown names are refused."""

from pathlib import Path

import pytest

from embedded.tools import lock, paths
from embedded.tools.errors import ToolError
from embedded.tools.lock import DebianPackage, GoModule
from tests.unit.embedded_tools.workshop import Workshop


def test_the_real_lock_is_complete() -> None:
    """Every tool has a version and a digest, and go.sum beside go.mod; the parts of the cluster are all there."""
    tools = lock.load().tools
    for tool in tools.values():
        if not isinstance(tool.origin, DebianPackage):
            assert tool.version, tool.name
            assert len(tool.digest) == 16, tool.name
        if isinstance(tool.origin, GoModule):
            assert (tool.origin.directory / "go.sum").stat().st_size > 0
    needed = {
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "containerd",
    }
    needed |= {"ctr", "containerd-shim-runc-v2", "coredns", "spire-server", "spire-agent", "spire-controller-manager"}
    assert needed | {"pulumi", "kubectl", "nats-server", "runc"} <= set(tools)


def test_versions_are_those_of_the_design() -> None:
    tools = lock.load().tools
    versions = {
        name: tools[name].version for name in ("pulumi", "kubelet", "etcd", "spire-agent", "nats-server", "kubectl")
    }
    assert versions == {
        "pulumi": "v3.250.0",
        "kubelet": "v1.36.3",
        "etcd": "v3.6.6",
        "spire-agent": "v1.13.3",
        "nats-server": "2.15.1",
        "kubectl": "1.36.3",
    }


def test_an_unknown_tool_is_refused_with_the_list_of_known_ones(workshop: Workshop) -> None:
    with pytest.raises(ToolError, match="no tool named helo; the lock has hello, other"):
        workshop.locked.select(["hello", "helo"])


def test_tools_come_in_the_order_of_the_lock(workshop: Workshop) -> None:
    assert [tool.name for tool in workshop.locked.select(["other", "hello"])] == ["hello", "other"]


def test_optional_tools_are_made_only_where_they_are_named() -> None:
    """Neither a cluster nor a test waits for the programs of a benchmark."""
    locked = lock.load()
    assert {tool.name for tool in locked.tools.values() if tool.optional} == {"envoy", "fortio", "kwok"}
    assert {"envoy", "fortio", "kwok"}.isdisjoint(tool.name for tool in locked.select([]))
    assert [tool.name for tool in locked.select(["envoy", "fortio"])] == ["fortio", "envoy"]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("lock.toml", "good-morning", "good-evening"),
        ("lock.toml", "[go.build.binaries]\nhello", "[go.build.binaries]\nhello2 = 'hello.example/greet/x'\nhello"),
        ("modules/hello/go.mod", "v1.2.3", "v1.2.4"),
        ("modules/hello/go.sum", "", "hello.example/greet v1.2.3 h1:x\n"),
    ],
)
def test_what_decides_the_content_decides_the_digest(workshop: Workshop, file: str, old: str, new: str) -> None:
    """Flags, go.mod and go.sum change the digest of `hello`; another binary beside it does not, nor does it touch `other`."""
    before = {name: tool.digest for name, tool in workshop.locked.tools.items()}
    path = workshop.lock_file.parent / file
    path.write_text(path.read_text().replace(old, new, 1))
    after = {name: tool.digest for name, tool in workshop.locked.tools.items()}
    assert (after["hello"] == before["hello"]) is ("hello2" in new)
    assert after["other"] == before["other"]


def test_one_name_twice_is_refused(workshop: Workshop) -> None:
    workshop.lock_file.write_text(workshop.lock_file.read_text().replace("\nother = ", "\nhello = "))
    with pytest.raises(ToolError, match="two tools are named hello"):
        _ = workshop.locked


def test_a_package_without_its_module_is_refused(workshop: Workshop) -> None:
    workshop.lock_file.write_text(workshop.lock_file.read_text().replace("example/greet/cmd", "example/greeting/cmd"))
    with pytest.raises(ToolError, match=r"hello/go\.mod requires no module that holds hello\.example/greeting"):
        _ = workshop.locked


def test_a_wheel_without_its_lock_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock.toml").write_text('[[wheel]]\nname = "absent"\ndistribution = "absent-bin"\n')
    (tmp_path / "binaries.txt").write_text("other==1 \\\n    --hash=sha256:00\n")
    with pytest.raises(ToolError, match="no line for absent-bin; run `make lock`"):
        lock.load(tmp_path / "lock.toml", tmp_path / "binaries.txt")


@pytest.mark.parametrize(
    ("package", "name"),
    [("k8s.io/kubernetes/cmd/kubelet", "kubelet"), ("go.etcd.io/etcd/server/v3", "server"), ("example.org/v", "v")],
)
def test_executable_names_follow_go(package: str, name: str) -> None:
    assert lock.executable_name(package) == name


def test_a_path_is_given_only_for_what_is_ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The message says which command makes it."""
    monkeypatch.setenv("NGINX_MESH_CACHE", str(tmp_path))
    with pytest.raises(ToolError, match="etcd is missing: run `make tools`"):
        paths.path_of("etcd")


def test_places_follow_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Our own variable wins over XDG's, and that over the home directory (design 4.1)."""
    for name in ("NGINX_MESH_CACHE", "NGINX_MESH_STATE", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert paths.cache_root() == Path("/home/someone/.cache/nginx-mesh")
    assert paths.state_root("dev") == Path("/home/someone/.local/state/nginx-mesh/dev")
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert paths.state_root("dev") == Path("/xdg/nginx-mesh/dev")
    monkeypatch.setenv("NGINX_MESH_STATE", str(tmp_path))
    assert paths.state_root("test") == tmp_path / "test"
