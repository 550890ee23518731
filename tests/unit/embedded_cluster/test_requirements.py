"""A machine that cannot run a cluster is told everything that it lacks, with the repair."""

from pathlib import Path

import pytest

from embedded.cluster import binaries, requirements


def test_missing_packages_are_named_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(requirements, "SEARCH_PATH", str(tmp_path))
    monkeypatch.setattr(requirements, "CNI_DIRECTORY", tmp_path)
    missing = requirements.missing_packages()
    assert {"runc", "iptables", "containernetworking-plugins", "libc6-dev"} <= set(missing)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(requirements.UnmetRequirementError, match=f"apt-get install --yes {' '.join(missing)}"):
        requirements.check()


def test_only_root_can_run_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(requirements.UnmetRequirementError, match="needs root"):
        requirements.check()


def test_a_missing_program_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(binaries.OVERRIDE, str(tmp_path))
    with pytest.raises(binaries.MissingToolError, match=f"etcd: no executable at {tmp_path}/etcd"):
        binaries.find("etcd")
    (tmp_path / "etcd").touch(mode=0o755)
    assert binaries.find("etcd") == tmp_path / "etcd"
