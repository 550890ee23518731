"""No secret stands where people look: ConfigMaps, logs, command lines, the stack's state (contract 10.secrets)."""

import json
import re
from pathlib import Path

import pytest

from embedded.tools import paths
from tests.e2e.mesh_under_test import NAMESPACE, MeshUnderTest
from tests.e2e.program import Program

SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"
)
CIPHERTEXT = "4dabf18193072939515e22adb298388d"  # the key that marks a secret in Pulumi's state
ENCRYPTED = "1b47061264138c4ac30d75fd1eb44270"


@pytest.fixture
def passphrase(mesh: MeshUnderTest) -> str:
    """What encrypts the stack's secrets."""
    return (paths.state_root(mesh.cluster) / "passphrase").read_text(encoding="utf-8")


def assert_clean(text: str, passphrase: str, place: str) -> None:
    found = SECRET.search(text)
    assert found is None, f"{place} holds a secret that begins {found.group()[:24]}"
    assert passphrase not in text, f"{place} holds the passphrase"


def test_the_pattern_finds_a_key_and_a_token() -> None:
    """A search that could find nothing would prove nothing."""
    assert SECRET.search("x -----BEGIN EC PRIVATE KEY----- x")
    assert SECRET.search("token=eyJhbGciOiJSUzI1NiIsImtpZCI6.eyJhdWQiOlsic3BpcmUtc2VydmVyIl0.c2lnbmF0dXJlc2lnbmF0dXJl")


@pytest.mark.spec("10.secrets")
def test_no_secret_in_config_maps(mesh: MeshUnderTest, passphrase: str) -> None:
    for item in mesh.kubectl.get("configmaps", "-A")["items"]:
        assert_clean(json.dumps(item), passphrase, f"ConfigMap {item['metadata']['name']}")


@pytest.mark.spec("10.secrets")
def test_no_secret_in_logs(mesh: MeshUnderTest, passphrase: str, pair_of_apps: str) -> None:
    for namespace in (NAMESPACE, pair_of_apps):
        for pod in mesh.kubectl.get("pods", "-n", namespace)["items"]:
            name = pod["metadata"]["name"]
            logs = mesh.kubectl.run("-n", namespace, "logs", name, "--all-containers")
            assert logs, f"{name} has no logs"
            assert_clean(logs, passphrase, f"the log of {name}")


@pytest.mark.spec("10.secrets")
def test_no_secret_in_command_lines(mesh: MeshUnderTest, passphrase: str) -> None:
    assert mesh.cluster
    lines = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(place.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:  # it ended while we looked
            continue
    assert any("mesh.controller" in line for line in lines)
    for line in lines:
        assert_clean(line, passphrase, f"the command line of {line.partition(' ')[0]}")


@pytest.mark.spec("10.state-encrypted")
def test_secrets_of_the_stack_are_encrypted(mesh: MeshUnderTest, passphrase: str) -> None:
    """A secret setting is ciphertext in the stack's file, and the exported state holds no secret in plain text."""
    program = Program(mesh.cluster)
    kept = program.settings_file.read_bytes()
    canary = "canary-of-a-registry-password"
    try:
        program.succeed("config", "set", "--secret", "--path", "registry.credentials.password", canary)
        assert canary not in program.settings_file.read_text(encoding="utf-8")
        assert "secure:" in program.settings_file.read_text(encoding="utf-8")
    finally:
        program.settings_file.write_bytes(kept)
    state = program.succeed("stack", "export")
    assert_clean(state, passphrase, "the stack's state")
    for secret in secrets_in(json.loads(state)):
        assert set(secret) == {CIPHERTEXT, "ciphertext"}, "a secret of the state has no ciphertext"
        assert secret[CIPHERTEXT] == ENCRYPTED


def secrets_in(value: object) -> list[dict[str, object]]:
    """Everything in the state that is marked as a secret."""
    if isinstance(value, dict):
        own = [value] if CIPHERTEXT in value else []
        return own + [found for item in value.values() for found in secrets_in(item)]
    if isinstance(value, list):
        return [found for item in value for found in secrets_in(item)]
    return []
