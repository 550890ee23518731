"""Stack files: made from a preset once, updated without losing anything."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mesh.api import names
from stacks import loading, prepare
from stacks.settings import KeyManager, PersistentStorage


def config(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(path.read_text())["config"]
    return values


def test_a_new_file_has_the_preset_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    assert prepare.prepare(path, prepare.preset("development"), {"images": {"nats-server": "a"}})
    assert config(path)["nginx-mesh:spire"]["syncInterval"] == "1s"
    path.write_text("# mine\nconfig:\n  nginx-mesh:mtls:\n    mode: strict # ours\nencryptionsalt: v1:x\n")
    assert prepare.prepare(path, prepare.preset("development"), {"images": {"nats-server": "b"}, "mtls.svidTTL": "2m"})
    assert path.read_text().startswith("# mine\n")
    assert "encryptionsalt: v1:x" in path.read_text()
    assert config(path) == {
        "nginx-mesh:mtls": {"mode": "strict", "svidTTL": "2m"},
        "nginx-mesh:images": {"nats-server": "b"},
    }


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    prepare.prepare(path, prepare.preset("development"), {"mtls.mode": "off"})
    assert not prepare.prepare(path, prepare.preset("development"), {"mtls.mode": "off"})
    assert config(path)["nginx-mesh:mtls"]["mode"] == "off"


def test_only_the_roles_of_the_stack_are_taken_from_the_image_build() -> None:
    built = {names.SIDECAR: "localhost/nginx-mesh-sidecar:1", "mesh-sample": "localhost/mesh-sample:1"}
    assert prepare.images_of(json.dumps(built)) == {names.SIDECAR: "localhost/nginx-mesh-sidecar:1"}


@pytest.mark.spec("10.presets")
@pytest.mark.parametrize("name", prepare.presets())
def test_every_preset_is_accepted(name: str) -> None:
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in prepare.preset(name).items()}
    loading.parse({"registry": '{"server": "registry.example/mesh"}'} | given)


@pytest.mark.spec("10.presets")
def test_production_tuning_is_nsms_document() -> None:
    given = {key: json.dumps(value) for key, value in prepare.preset("production-tuning").items()}
    settings = loading.parse({"registry": '{"server": "registry.example/mesh"}'} | given)
    assert settings.mtls.mode == "strict"
    assert settings.mtls.spire_server_key_manager is KeyManager.MEMORY
    assert settings.mtls.persistent_storage is PersistentStorage.ON
    assert (settings.mtls.ca_ttl, settings.mtls.svid_ttl) == ("720h", "1h")
