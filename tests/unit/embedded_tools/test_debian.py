"""Debian packages: what cannot be installed here is said as the command that would."""

import os

import pytest

from embedded.tools import debian
from embedded.tools.errors import ToolError


async def test_without_root_the_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolError, match="as root, run: apt-get install runc skopeo"):
        await debian.install(["runc", "skopeo"])


async def test_another_distribution_is_told_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolError, match="no apt-get: install the equivalents of runc by hand"):
        await debian.install(["runc"])


def test_only_installed_packages_have_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = debian.versions(["dpkg", "no-such-package-anywhere"])
    assert set(versions) == {"dpkg"}
    assert versions["dpkg"][0].isdigit()
    monkeypatch.setenv("PATH", "/nonexistent")
    assert debian.versions(["dpkg"]) == {}
