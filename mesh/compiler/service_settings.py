"""A Service's own settings, and what is told about those that are wrong or of no effect (contract 6.requests)."""

from collections.abc import Iterator

from mesh.api import names
from mesh.compiler.finding import Finding
from mesh.compiler.protocol import protocol_of
from mesh.model.service_annotations import ServiceAnnotations, read_service_annotations
from mesh.model.sidecar_config import Protocol
from mesh.model.snapshot import Service
from mesh.model.unread import find_unread_annotations

REQUEST_PROTOCOLS = frozenset({Protocol.HTTP, Protocol.GRPC})
# A gRPC call is streamed, and what is streamed is sent once: only a time-out acts on it.
_ACTS_ON = {
    names.ANNOTATION_REQUEST_TIMEOUT: REQUEST_PROTOCOLS,
    names.ANNOTATION_RETRIES: frozenset({Protocol.HTTP}),
    names.ANNOTATION_RETRY_NON_IDEMPOTENT: frozenset({Protocol.HTTP}),
}


def service_settings(service: Service) -> tuple[ServiceAnnotations, list[Finding]]:
    """Read the annotations of *service*; a wrong one counts as absent."""
    if not service.annotations:
        return ServiceAnnotations(), []
    settings, problems = read_service_annotations(service.annotations)
    findings = [_finding(service, "InvalidAnnotation", f"{problem}; it counts as absent") for problem in problems]
    findings += [_finding(service, "AnnotationWithoutEffect", text) for text in _without_effect(service, settings)]
    return settings, findings


def _without_effect(service: Service, settings: ServiceAnnotations) -> Iterator[str]:
    yield from find_unread_annotations("Service", service.annotations)
    if service.is_headless:
        for name in (names.ANNOTATION_LB_METHOD, *_ACTS_ON):
            if name in service.annotations:
                yield f"annotation {name}: has no effect on a headless Service, whose pods are called by their addresses"
        return
    protocols = {protocol_of(spec.transport, spec.name, spec.app_protocol, spec.port) for spec in service.ports}
    idle = [name for name, acts_on in _ACTS_ON.items() if name in service.annotations and not protocols & acts_on]
    for name in idle:
        yield f"annotation {name}: acts on ports of {' and '.join(sorted(_ACTS_ON[name]))}, and this Service has none"
    if settings.retry_non_idempotent and not settings.retries and names.ANNOTATION_RETRY_NON_IDEMPOTENT not in idle:
        yield f"annotation {names.ANNOTATION_RETRY_NON_IDEMPOTENT}: does nothing without {names.ANNOTATION_RETRIES}"


def _finding(service: Service, reason: str, message: str) -> Finding:
    return Finding("Service", service.namespace, service.name, reason, message)
