"""Stack settings: what is wrong is refused together, before anything is changed (contract 10.settings)."""

import json

import pytest

from mesh.api.errors import InvalidInputError
from mesh.api.mtls import MtlsMode
from stacks import checks, loading
from stacks.settings import KeyManager, PersistentStorage, PullPolicy, Settings

REGISTRY = '{"server": "registry.example/mesh"}'


def faults(encrypted: frozenset[str] = frozenset(), **given: str) -> dict[str, str]:
    """What is wrong with a configuration, by place."""
    try:
        loading.parse({"registry": REGISTRY} | given, encrypted)
    except InvalidInputError as error:
        return {problem.place: str(problem) for problem in error.problems}
    return {}


def test_an_empty_stack_has_nsms_defaults() -> None:
    settings = loading.parse({"registry": REGISTRY})
    assert (settings.namespace, settings.mtls.trust_domain) == ("nginx-mesh", "example.org")
    assert (settings.mtls.mode, settings.mtls.ca_ttl, settings.mtls.svid_ttl) == (MtlsMode.PERMISSIVE, "720h", "1h")
    assert settings.mtls.spire_server_key_manager is KeyManager.DISK
    assert settings.mtls.persistent_storage is PersistentStorage.AUTO
    assert settings.registry.image_pull_policy is PullPolicy.IF_NOT_PRESENT


@pytest.mark.spec("10.settings")
def test_all_that_is_wrong_is_told_at_once_with_key_value_and_what_is_taken() -> None:
    found = faults(
        mtls=json.dumps(
            {"caTTL": "23h", "svidTTL": "90s", "mode": "stict", "trustDomain": "Example.org", "caKeyTipe": "x"}
        ),
        nginxErrorLogLevel="loud",
        clientMaxBodySize="1 MB",
        acessControlMode="deny",
        controller='{"replicas": 0}',
        namespace="Mesh_1",
        telemetry='{"samplerRatio": 2}',
    )
    assert found == {
        "mtls.caTTL": 'mtls.caTTL: got "23h", takes hours from 24h to 999999h',
        "mtls.svidTTL": 'mtls.svidTTL: got "90s", takes minutes or hours from 1 to 999999, such as 30m or 1h',
        "mtls.mode": 'mtls.mode: got "stict", takes one of off, permissive, strict',
        "mtls.trustDomain": 'mtls.trustDomain: got "Example.org", takes lower case letters, digits, dots, dashes and underscores, such as example.org, without spiffe://',
        "mtls.caKeyTipe": "mtls.caKeyTipe: got an unknown key, takes mode, caTTL, svidTTL, caKeyType, trustDomain, persistentStorage, spireServerKeyManager; did you mean caKeyType?",
        "nginxErrorLogLevel": 'nginxErrorLogLevel: got "loud", takes one of debug, info, notice, warn, error, crit, alert, emerg',
        "clientMaxBodySize": 'clientMaxBodySize: got "1 MB", takes a number of bytes, also with k, m or g, such as 64k or 10m; 0 for no limit',
        "acessControlMode": found["acessControlMode"],
        "controller.replicas": "controller.replicas: got 0, takes a whole number from 1 to 5",
        "namespace": 'namespace: got "Mesh_1", takes a namespace\'s name, such as nginx-mesh',
        "telemetry.samplerRatio": "telemetry.samplerRatio: got 2, takes a number from 0 to 1",
    }
    assert found["acessControlMode"].endswith("did you mean accessControlMode?")


@pytest.mark.spec("10.settings")
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mtls", '{"caTTL": "0h"}'),
        ("mtls", '{"caTTL": "1000000h"}'),
        ("mtls", '{"caTTL": "48m"}'),
        ("mtls", '{"svidTTL": "0m"}'),
        ("mtls", '{"svidTTL": "1h30m"}'),
        ("mtls", '{"svidTTL": "25h", "caTTL": "24h"}'),
        ("mtls", '{"trustDomain": "spiffe://example.org"}'),
        ("mtls", '{"trustDomain": ""}'),
        ("mtls", '{"trustDomain": "a/b"}'),
        ("mtls", '{"mode": "Strict"}'),
        ("mtls", '{"mode": false}'),
        ("mtls", '{"caKeyType": "rsa-1024"}'),
        ("mtls", '{"persistentStorage": "yes"}'),
        ("mtls", '{"upstreamAuthority": {}}'),
        ("mtls", "strict"),
        ("environment", "openshift"),
        ("accessControlMode", "some"),
        ("enableUDP", "true"),
        ("nginxLBMethod", "least_times"),
        ("prometheusAddress", "http://prometheus:9090"),
        ("telemetry", '{"exporters": {"otlp": {"port": 4317}}}'),
        ("injection", '{"failurePolicy": "fail"}'),
        ("spire", '{"syncInterval": "500ms"}'),
        ("spire", '{"syncInterval": "0s"}'),
        ("namespace", "kube-system"),
        ("namespace", "default"),
        ("images", '{"nginx-mesh-sidcar": "x"}'),
        ("images", '{"nginx-mesh-sidecar": 5}'),
        ("registry", '{"server": "r.example", "imagePullPolicy": "Sometimes"}'),
        ("registry", "{}"),
        ("registry", '{"server": "r.example", "credentials": {"username": "u"}}'),
        ("registry", '{"server": "r.example", "credentials": {"username": "u", "password": "p", "key": "k"}}'),
    ],
)
def test_each_of_these_is_refused(key: str, value: str) -> None:
    assert faults(frozenset({"registry"}), **{key: value}) != {}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mtls", '{"caTTL": "24h", "svidTTL": "2m"}'),
        ("mtls", '{"caTTL": "24h", "svidTTL": "24h"}'),
        ("mtls", '{"trustDomain": "mesh_1.prod-eu.example.org", "mode": "off"}'),
        ("clientMaxBodySize", "0"),
        ("prometheusAddress", "prometheus.monitoring:9090"),
        ("nginxLBMethod", "random two least_time=last_byte"),
        ("telemetry", '{"samplerRatio": 1, "exporters": {"otlp": {"host": "collector"}}}'),
        ("registry", '{"server": "r.example", "credentials": {"username": "u", "password": "p"}}'),
        ("registry", '{"server": "r.example", "credentials": {"key": "{}"}}'),
    ],
)
def test_each_of_these_is_taken(key: str, value: str) -> None:
    assert faults(frozenset({"registry"}), **{key: value}) == {}


@pytest.mark.spec("10.secrets")
def test_a_plain_password_is_refused_and_never_repeated() -> None:
    credentials = {"server": "r.example", "credentials": {"username": "u", "password": "hunter2"}}
    found = faults(registry=json.dumps(credentials))
    assert list(found) == ["registry.credentials"]
    assert "--secret" in found["registry.credentials"]
    assert "hunter2" not in str(found)
    credentials["credentials"] = {"username": "u", "password": ["hunter2"]}
    assert "hunter2" not in str(faults(frozenset({"registry"}), registry=json.dumps(credentials)))


@pytest.mark.spec("10.secrets")
def test_settings_do_not_print_a_password() -> None:
    credentials = {"server": "r.example", "credentials": {"username": "u", "password": "hunter2"}}
    settings = loading.parse({"registry": json.dumps(credentials)}, {"registry"})
    assert "hunter2" not in repr(settings)


def test_images_named_for_every_role_need_no_registry() -> None:
    roles = ("nginx-mesh-controller", "nginx-mesh-sidecar", "nginx-mesh-init", "nginx-mesh-cert-reloader")
    images = json.dumps({role: f"localhost/{role}:1" for role in roles})
    assert loading.parse({"images": images}).registry.server == ""


def test_persistent_storage_needs_a_default_storage_class() -> None:
    assert checks.storage_problems(PersistentStorage.ON, None) != []
    assert checks.storage_problems(PersistentStorage.ON, "standard") == []
    assert checks.storage_problems(PersistentStorage.AUTO, None) == []


def test_what_is_unwise_is_warned_about_with_the_reason() -> None:
    memory = loading.parse({"registry": REGISTRY, "mtls": '{"spireServerKeyManager": "memory"}'})
    disk = loading.parse({"registry": REGISTRY})
    assert [warning.split()[0] for warning in checks.warnings(memory, persistent=True)] == [
        "mtls.spireServerKeyManager"
    ]
    assert [warning.split()[0] for warning in checks.warnings(disk, persistent=False)] == ["SPIRE"]
    assert checks.warnings(disk, persistent=True) == []


def test_settings_are_values() -> None:
    assert loading.parse({"registry": REGISTRY}) == loading.parse({"registry": REGISTRY})
    assert isinstance(loading.parse({"registry": REGISTRY}), Settings)
