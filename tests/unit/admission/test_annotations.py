"""Every annotation that a pod takes: what it takes, and how what it does not take is refused (contract 5.annotations, 5.refused)."""

from typing import Any

import pytest

from mesh.admission.inject import inject
from mesh.admission.settings import InjectionSettings
from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.api.mtls import MtlsMode
from mesh.model.annotations import PodAnnotations, parse_pod_annotations

PORTS = "ports from 1 to 65535, separated by commas"
MODES = "off, permissive, strict"
FLAG = "true or false"
SIZE = "a number of bytes, also with k, m or g, such as 64k or 10m; 0 for no limit"
BOTH_PORTS = (names.ANNOTATION_IGNORE_INCOMING_PORTS, names.ANNOTATION_IGNORE_OUTGOING_PORTS)
NOT_PORTS = (
    *(
        "0",
        "65536",
        "99999",
        "100000",
        "-1",
        "+80",
        "80,,81",
        ",",
        "80,",
        "1e3",
        "0x50",
        "8_0",
        "80.0",
        "80 81",
        "80;81",
    ),
    *("٨٠", "８０", "८०", "⁸⁰", "http", "80-90", "80\t", "80\n", "80,\u00a081"),
)
NOT_MODES = ("", "lax", "none", "on", " strict", "strict ", "stric t", "mutual", "1", "true", "ѕtrict")
NOT_SIZES = ("", "-1", "1e3", "1.5m", "10 m", "10mb", "m", "0x10", "٨m", "１０m", "10t", "+1", "1k\n", "9" * 25)
NOT_FLAGS = ("", "yes", "no", "on", "1", "0", "True", "TRUE", " true", "t")
REFUSED = [
    *((name, text, PORTS) for name in BOTH_PORTS for text in NOT_PORTS),
    *((names.ANNOTATION_MTLS_MODE, text, MODES) for text in NOT_MODES),
    *((names.ANNOTATION_CLIENT_MAX_BODY_SIZE, text, SIZE) for text in NOT_SIZES),
    *((names.ANNOTATION_DEFAULT_EGRESS_ALLOWED, text, FLAG) for text in NOT_FLAGS),
    *((names.ANNOTATION_NATIVE_SIDECAR, text, FLAG) for text in NOT_FLAGS),
]
TAKEN = [
    *((name, text, field, (80, 9000)) for name, field in zip(BOTH_PORTS, ("ignore_incoming_ports", "ignore_outgoing_ports"), strict=True)
      for text in ("80,9000", "9000,80", " 80 , 9000 ", "80,80,9000")),
    *((name, "", field, ()) for name, field in zip(BOTH_PORTS, ("ignore_incoming_ports", "ignore_outgoing_ports"), strict=True)),
    (names.ANNOTATION_IGNORE_INCOMING_PORTS, "1,65535", "ignore_incoming_ports", (1, 65535)),
    *((names.ANNOTATION_MTLS_MODE, text, "mtls_mode", MtlsMode(text.lower())) for text in ("off", "permissive", "strict", "OFF", "Strict")),
    *((names.ANNOTATION_CLIENT_MAX_BODY_SIZE, text, "client_max_body_size", size)
      for text, size in (("0", 0), ("1", 1), ("64k", 65536), ("64K", 65536), ("10m", 10 << 20), ("1g", 1 << 30))),
    *((names.ANNOTATION_DEFAULT_EGRESS_ALLOWED, text, "default_egress_allowed", text == "true") for text in ("true", "false")),
    *((names.ANNOTATION_NATIVE_SIDECAR, text, "native_sidecar", text == "true") for text in ("true", "false")),
]  # fmt: skip


def pod(annotations: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}


def settings(mode: MtlsMode = MtlsMode.PERMISSIVE) -> InjectionSettings:
    return InjectionSettings("s:1", "i:1", mtls_mode=mode)


@pytest.mark.spec("5.annotations")
@pytest.mark.parametrize(("name", "text", "field", "value"), TAKEN)
def test_what_an_annotation_takes(name: str, text: str, field: str, value: object) -> None:
    """It sets its own field to the value, and no other."""
    parsed = parse_pod_annotations({name: text})
    assert parsed == PodAnnotations(**{field: value})  # type: ignore[arg-type]
    assert inject(pod({name: text}), "shop", settings()).changed


@pytest.mark.spec("5.refused", "5.ports")
@pytest.mark.parametrize(("name", "text", "takes"), REFUSED)
def test_what_it_does_not_take_is_refused_by_name(name: str, text: str, takes: str) -> None:
    """The reason names the annotation, the value and what it takes; there is one reason for each wrong item."""
    with pytest.raises(InvalidInputError) as refusal:
        inject(pod({name: text}), "shop", settings())
    for problem in refusal.value.problems:
        assert problem.place == f"annotation {name}"
        assert text.strip(" ") in problem.got
        assert problem.takes == takes


@pytest.mark.spec("5.refused", "3.modes")
@pytest.mark.parametrize("own", ["off", "permissive", "OFF"])
def test_a_mode_weaker_than_strict_is_refused_by_name(own: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        inject(pod({names.ANNOTATION_MTLS_MODE: own}), "shop", settings(MtlsMode.STRICT))
    [problem] = refusal.value.problems
    assert (problem.place, problem.got) == (f"annotation {names.ANNOTATION_MTLS_MODE}", f'"{own.lower()}"')
    assert "strict" in problem.takes


@pytest.mark.spec("5.refused")
def test_every_wrong_annotation_is_named_at_once() -> None:
    wrong = {name: "x" for name, *_ in REFUSED}
    with pytest.raises(InvalidInputError) as refusal:
        inject(pod(wrong), "shop", settings())
    assert {problem.place for problem in refusal.value.problems} == {f"annotation {name}" for name in wrong}
    assert len(refusal.value.problems) == len(wrong) == 6


@pytest.mark.spec("5.refused")
@pytest.mark.parametrize("value", [80, 0, True, 1.5, ["80"], {"a": "b"}])
@pytest.mark.parametrize("name", sorted({name for name, *_ in REFUSED}))
def test_a_value_that_is_no_text_is_refused_by_name(name: str, value: object) -> None:
    """YAML without quotes gives numbers and truth values, which Kubernetes does not take for annotations."""
    with pytest.raises(InvalidInputError) as refusal:
        inject(pod({name: value}), "shop", settings())
    [problem] = refusal.value.problems
    assert (problem.place, problem.takes) == (f"annotation {name}", "text")
    assert problem.remedy.startswith("write it in quotes")


@pytest.mark.spec("5.unread")
@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("config.nsm.nginx.com/mtls-mod", f"nobody reads it; did you mean {names.ANNOTATION_MTLS_MODE}?"),
        ("Config.NSM.nginx.com/MTLS-Mode", f"nobody reads it; did you mean {names.ANNOTATION_MTLS_MODE}?"),
        ("config.nsm.nginx.com/ignore-ports", "nobody reads it"),
        ("injector.nsm.nginx.com/auto-inject", "is a label, and no annotation"),
        ("config.nsm.nginx.com/lb-method", "is read on a Service, not on a Pod"),
        ("config.nsm.nginx.com/egress-scope", "is read on a Namespace, not on a Pod"),
    ],
)
def test_a_key_that_nobody_reads_is_warned_about(key: str, told: str) -> None:
    """A slip of the pen changes nothing, and must not do so silently; keys of others are nobody's business."""
    done = inject(pod({key: "off", "config.example.com/mtls-mode": "x"}), "shop", settings())
    [warning] = done.warnings
    assert warning.startswith(f"annotation {key}: {told}")
    assert "MESH_MTLS_MODE', 'value': 'permissive'" in str(done.pod)


@pytest.mark.spec("5.unread")
@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (names.LABEL_AUTO_INJECT, "Disabled", 'got "Disabled", takes enabled, disabled; it counts as absent'),
        (names.LABEL_AUTO_INJECT, "true", 'got "true", takes enabled, disabled; it counts as absent'),
        ("injector.nsm.nginx.com/auto-inyect", "disabled", f"nobody reads it; did you mean {names.LABEL_AUTO_INJECT}?"),
        (names.ANNOTATION_MTLS_MODE, "off", "is an annotation, and no label"),
    ],
)
def test_a_label_that_nobody_reads_is_warned_about(key: str, value: str, told: str) -> None:
    document = pod({})
    document["metadata"]["labels"] = {key: value, "app": "x"}
    assert inject(document, "shop", settings()).warnings == (f"label {key}: {told}",)
    document["metadata"]["labels"] = {names.LABEL_AUTO_INJECT: "enabled"}
    assert inject(document, "shop", settings()).warnings == ()
