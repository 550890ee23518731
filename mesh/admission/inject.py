"""Put a sidecar into a pod (contract 5). One function for the webhook, for `meshctl inject` and for tests.

It takes and gives a pod, or a workload's pod template, as the API has it, and never changes what it was given. Injecting
twice is injecting once.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mesh.admission import containers, gateway, refusal
from mesh.admission.group import pod_facts, sidecar_group
from mesh.admission.owner import Owner, pod_owner
from mesh.admission.probes import RedirectedProbe, grpc_probes, probe_warnings, redirect_probes
from mesh.admission.settings import InjectionSettings
from mesh.admission.shape import find_shape_problems
from mesh.api import names
from mesh.api.errors import InvalidInputError, Problem
from mesh.model.annotations import PodAnnotations, effective_mode, parse_lenient, parse_pod_annotations
from mesh.model.unread import find_unread_annotations, find_unread_labels

TRUE: Final = "true"
_ENDING: Final = frozenset({"Job", "CronJob"})
_NEVER_ENDS: Final = (
    "the sidecar is an ordinary container, which does not end by itself: neither will the Job; use Kubernetes 1.29 or "
    f"later without annotation {names.ANNOTATION_NATIVE_SIDECAR}, or leave the Job outside the mesh"
)


@dataclass(frozen=True, slots=True)
class Injection:
    """The outcome: the pod as it should be, and what its author should know. ``changed`` is false for a pod as it was."""

    pod: dict[str, Any]
    changed: bool
    warnings: tuple[str, ...] = ()


def inject(
    pod: Mapping[str, Any], namespace: str, settings: InjectionSettings, owner: Owner | None = None
) -> Injection:
    """Give *pod* of *namespace* a sidecar, or the SPIRE socket if it is a gateway.

    *owner* is given for templates, whose metadata does not tell it. Raises InvalidInputError with every reason why the
    pod cannot be injected.
    """
    _refuse_misshapen(pod, settings)
    before = dict(pod)
    metadata = pod.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if gateway.is_gateway(labels):
        if no_containers := tuple(refusal.find_missing_containers(pod.get("spec") or {})):
            raise InvalidInputError(no_containers)
        after = gateway.connect(pod)
        return Injection(after, after != before)
    if _has_sidecar(pod):
        _refuse_foreign_sidecar(pod)
        return Injection(before, changed=False)
    if settings.lenient and (unfit := tuple(refusal.find_unfit_ports(pod.get("spec") or {}))):
        return Injection(before, changed=False, warnings=tuple(f"this pod gets no sidecar: {why}" for why in unfit))
    annotations, ignored = _checked_annotations(pod, settings)
    after = copy.deepcopy(before)
    unread = *find_unread_annotations("Pod", metadata.get("annotations") or {}), *find_unread_labels(labels)
    warnings = _add_sidecar(after, namespace, settings, owner or pod_owner(metadata), annotations)
    return Injection(after, changed=True, warnings=(*ignored, *unread, *warnings))


def _refuse_misshapen(pod: Any, settings: InjectionSettings) -> None:
    problems = list(find_shape_problems(pod))
    if not problems:
        return
    # What has the type that it must have is judged all the same: whoever repairs a manifest sees every fault in one try.
    metadata = pod.get("metadata") if isinstance(pod, Mapping) else None
    given = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if isinstance(given, Mapping):
        texts = {key: text for key, text in given.items() if isinstance(text, str)}
        problems.extend(_read_annotations(texts, settings)[2])
    spec = pod.get("spec") if isinstance(pod, Mapping) else None
    if spec and not any(find_shape_problems({"spec": spec})):
        problems.extend(refusal.find_problems(spec))
    raise InvalidInputError(problems)


def _has_sidecar(pod: Mapping[str, Any]) -> bool:
    spec = pod.get("spec") or {}
    found = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    return any(container.get("name") in {names.SIDECAR, names.INIT} for container in found)


def _refuse_foreign_sidecar(pod: Mapping[str, Any]) -> None:
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    if names.ANNOTATION_VERSION in annotations and names.ANNOTATION_GROUP in annotations:
        return
    raise InvalidInputError(
        [
            Problem(
                f"container {names.SIDECAR}",
                "a sidecar that this mesh has not made, as NGINX Service Mesh's own",
                "pods without a sidecar, or with one of this mesh",
                "apply the workload's manifest as it was before injection",
            )
        ]
    )


def _checked_annotations(pod: Mapping[str, Any], settings: InjectionSettings) -> tuple[PodAnnotations, list[str]]:
    annotations, ignored, problems = _read_annotations((pod.get("metadata") or {}).get("annotations") or {}, settings)
    problems.extend(refusal.find_problems(pod.get("spec") or {}))
    if problems:
        raise InvalidInputError(problems)
    return annotations, ignored


def _read_annotations(
    given: Mapping[str, str], settings: InjectionSettings
) -> tuple[PodAnnotations, list[str], list[Problem]]:
    """What the annotations say, what of them is ignored, and why the pod is refused."""
    problems: list[Problem] = []
    annotations, ignored = PodAnnotations(), list[str]()
    try:
        if settings.lenient:
            annotations, told = parse_lenient(given)
            ignored = [f"{problem}; the global setting is used" for problem in told]
        else:
            annotations = parse_pod_annotations(given)
    except InvalidInputError as error:
        problems.extend(error.problems)
    problems.extend(refusal.find_weaker_mode(given, settings.mtls_mode))
    return annotations, ignored, problems


def _add_sidecar(
    pod: dict[str, Any], namespace: str, settings: InjectionSettings, owner: Owner, annotations: PodAnnotations
) -> tuple[str, ...]:
    spec: dict[str, Any] = pod["spec"]
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    group = sidecar_group(namespace, account, owner.family.kind, owner.family.name, pod_facts(pod))
    mode = effective_mode(settings.mtls_mode, annotations.mtls_mode)
    _write_metadata(pod, settings, owner, group)
    probes, warnings = _take_probes(spec)
    native = settings.native_sidecar and annotations.native_sidecar is not False
    if not native and owner.kind in _ENDING:
        warnings = (*warnings, _NEVER_ENDS)
    grace = spec.get("terminationGracePeriodSeconds")
    sidecar = containers.sidecar_container(settings, mode, group, probes, grace, native=native)
    init = containers.init_container(settings, annotations)
    others = spec.get("initContainers") or []
    # A native proxy runs before the application's own init containers, so they may use the network; an ordinary one
    # does not run yet, so they go first and unredirected.
    spec["initContainers"] = [init, sidecar, *others] if native else [*others, init]
    if not native:
        spec["containers"] = [sidecar, *spec["containers"]]
    if settings.pull_secret:
        secrets, ours = spec.get("imagePullSecrets") or [], {"name": settings.pull_secret}
        spec["imagePullSecrets"] = secrets if ours in secrets else [*secrets, ours]
    volumes = spec.get("volumes") or []
    spec["volumes"] = [*volumes, *(volume for volume in containers.sidecar_volumes() if volume not in volumes)]
    return warnings


def _write_metadata(pod: dict[str, Any], settings: InjectionSettings, owner: Owner, group: str) -> None:
    metadata: dict[str, Any] = pod.get("metadata") or {}
    pod["metadata"] = metadata
    labels = {names.LABEL_STATUS: names.STATUS_INJECTED, names.LABEL_SPIFFE_ID: TRUE}
    annotations = {
        names.ANNOTATION_STATUS: names.STATUS_INJECTED,
        names.ANNOTATION_VERSION: settings.version,
        names.ANNOTATION_GROUP: group,
    }
    if owner.name:
        labels[names.parent_label(owner.kind)] = names.label_value(owner.name)
        if len(owner.name) > names.LABEL_VALUE_LIMIT:
            annotations[names.parent_label(owner.kind)] = owner.name
    given = metadata.get("annotations") or {}
    # Named while the application's containers are still the first ones.
    default = {names.ANNOTATION_DEFAULT_CONTAINER: pod["spec"]["containers"][0]["name"]}
    metadata["labels"] = (metadata.get("labels") or {}) | labels
    metadata["annotations"] = default | given | annotations


def _take_probes(spec: dict[str, Any]) -> tuple[list[RedirectedProbe], tuple[str, ...]]:
    probes: list[RedirectedProbe] = []
    warnings: list[str] = []
    for container in refusal.containers_of(spec):
        probes.extend(redirect_probes(container))
        probes.extend(grpc_probes(container))
        warnings.extend(probe_warnings(container))
    return probes, tuple(warnings)
