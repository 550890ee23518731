"""From the installation and the MeshConfig to the settings that the compiler obeys (contract 6.protocol, 6.settings)."""

import json

import pytest

from components.custom_resources import ClusterAccess
from mesh.compiler.assemble import Compiler
from mesh.controller.configuration import Configuration, load_installation
from mesh.kube.watch import Key, Listed
from mesh.model import codec
from mesh.model.snapshot import MeshSettings, NamespaceView, Pod, Snapshot
from mesh.sidecar import nginx_state
from stacks import loading, wiring

STACK = {"registry": '{"server": "registry.example/mesh"}', "mtls": '{"persistentStorage": "on"}'}


def settings_of(installation: str) -> MeshSettings:
    """What counts with this installation and a MeshConfig that says nothing of its own."""
    configuration = Configuration(load_installation(installation, "nginx-mesh", "example.org"), lambda: None)
    manifest = {
        "apiVersion": "nsm.nginx.com/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "nginx-mesh-config", "namespace": "nginx-mesh", "generation": 1},
        "spec": {"meshConfigClassName": "nginx-mesh-meshconfig-class"},
        "status": {},
    }
    configuration.take_mesh_config(Listed({Key("nginx-mesh", "nginx-mesh-config"): manifest}))
    assert configuration.settings is not None
    return configuration.settings


@pytest.mark.spec("6.protocol")
@pytest.mark.parametrize(
    ("stack", "expected"), [({}, True), ({"appProtocol": "true"}, True), ({"appProtocol": "false"}, False)]
)
def test_whether_app_protocol_counts_is_the_stacks(stack: dict[str, str], expected: bool) -> None:
    """From the stack's setting through the controller's environment to the compiler."""
    args = wiring.mesh_args(loading.parse(STACK | stack, {"registry"}), ClusterAccess())
    assert settings_of(json.dumps(args.controller.spec.installation)).app_protocol is expected


@pytest.mark.spec("6.server-first")
@pytest.mark.parametrize(("stack", "expected"), [({}, 50), ({"serverFirstMilliseconds": "200"}, 200)])
def test_how_long_a_silent_caller_is_waited_for_is_the_stacks(stack: dict[str, str], expected: int) -> None:
    """From the stack's setting to the document of each sidecar and to NGINX."""
    args = wiring.mesh_args(loading.parse(STACK | stack, {"registry"}), ClusterAccess())
    settings = settings_of(json.dumps(args.controller.spec.installation))
    assert settings.server_first_ms == expected
    view = NamespaceView("shop", pods=(Pod("shop", "web-0", "web", group="g", addresses=("10.0.0.1",)),))
    config = Compiler().compile(Snapshot(settings, {"shop": view})).configs["g"]
    [message] = codec.encode(config, codec.Revision(1, 1))
    received = codec.decode(message.headers, message.payload).config
    assert f"set\tserver_first_ms\t{expected}\n" in nginx_state.render(received, "1.1")


@pytest.mark.spec("6.protocol")
def test_app_protocol_counts_for_an_installation_that_does_not_know_the_setting() -> None:
    """One of an older version."""
    args = wiring.mesh_args(loading.parse(STACK, {"registry"}), ClusterAccess())
    older = {key: value for key, value in args.controller.spec.installation.items() if key != "appProtocol"}
    assert settings_of(json.dumps(older)).app_protocol
