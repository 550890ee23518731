"""The admission webhooks: AdmissionReview in, AdmissionReview out (contract 5.webhook, 6.meshconfig, 7.webhook).

The judging is done in mesh.admission; here is only the protocol. A pod that cannot be injected is refused with the
reasons; nothing ever lets a pod that asked for a sidecar run without one.
"""

import base64
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiohttp import web

from mesh.admission import gateway, json_patch, validate, validate_mesh_config
from mesh.admission.inject import inject
from mesh.admission.validate_annotations import ANNOTATED_KINDS, judge_annotations
from mesh.admission.verdict import Surroundings, Verdict
from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.api.kinds import POLICY_KINDS
from mesh.api.mesh_config import MESH_CONFIG
from mesh.controller.configuration import Configuration

log = logging.getLogger(__name__)

REVIEW_BYTES: Final = 8 << 20
_API_VERSION: Final = "admission.k8s.io/v1"
_POLICIES: Final = frozenset((kind.group, kind.kind) for kind in POLICY_KINDS)


class Webhooks:
    """Answers the API server's questions from the newest configuration and what is known of the cluster.

    Answers are all that an answer makes, so a dry run is answered as the real thing is.
    """

    def __init__(self, configuration: Configuration, around: Surroundings) -> None:
        self._configuration = configuration
        self._around = around

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(client_max_size=REVIEW_BYTES)
        application.router.add_post(names.INJECT_PATH, self._serve_inject)
        application.router.add_post(names.VALIDATE_PATH, self._serve_validate)
        return application

    def review_pod(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one AdmissionRequest about a new pod."""
        settings = self._configuration.injection
        pod, namespace = request["object"], str(request.get("namespace") or "")
        if settings is None:
            return _refuse(503, f"the mesh is not configured yet: {self._configuration.missing()}")
        labels = (pod.get("metadata") or {}).get("labels") or {}
        is_ours = namespace == settings.mesh_namespace or namespace in names.SYSTEM_NAMESPACES
        opted_out = labels.get(names.LABEL_AUTO_INJECT) == names.AUTO_INJECT_DISABLED
        if not gateway.is_gateway(labels) and (is_ours or opted_out):
            return {"allowed": True}
        if self._configuration.is_ending:
            # Its sidecar would wait for a certificate that nobody issues any more.
            return {"allowed": True, "warnings": ["the mesh is being removed: this pod gets no sidecar"]}
        try:
            injection = inject(pod, namespace, settings)
        except InvalidInputError as error:
            return _refuse(422, _text(map(str, error.problems)))
        answer: dict[str, Any] = {"allowed": True}
        if injection.changed:
            patch = json.dumps(json_patch.difference(pod, injection.pod), separators=(",", ":"))
            answer |= {"patchType": "JSONPatch", "patch": base64.b64encode(patch.encode()).decode()}
        return answer | ({"warnings": list(injection.warnings)} if injection.warnings else {})

    def review_object(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one AdmissionRequest about an object of ours; kinds that nobody judges pass."""
        asked = request.get("kind") or {}
        operation, kind = str(request.get("operation")), str(asked.get("kind"))
        if (asked.get("group"), kind) in _POLICIES:
            return _answer_of(
                validate.judge(operation, kind, request.get("object"), request.get("oldObject"), self._around)
            )
        if not asked.get("group") and kind in ANNOTATED_KINDS:
            return _answer_of(judge_annotations(kind, request.get("object"), request.get("oldObject")))
        if kind != MESH_CONFIG.kind or self._configuration.namespace_ends:
            return {"allowed": True}
        before, after = (request.get(key) or {} for key in ("oldObject", "object"))
        if operation == "UPDATE" and before.get("spec") == after.get("spec"):
            # Finalizers must be changeable, whatever a spec of before would be told today.
            return {"allowed": True}
        problems = validate_mesh_config.mesh_config_problems(
            operation,
            str(request.get("name") or ""),
            str(request.get("namespace") or ""),
            request.get("object"),
            self._configuration.namespace,
        )
        return _answer_of(Verdict(problems))

    async def _serve_inject(self, request: web.Request) -> web.Response:
        return _answer(await request.read(), self.review_pod)

    async def _serve_validate(self, request: web.Request) -> web.Response:
        return _answer(await request.read(), self.review_object)


def _answer(body: bytes, review: Any) -> web.Response:
    try:
        document = json.loads(body)
        question = document["request"]
        uid = question["uid"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return web.Response(status=400, text="takes an AdmissionReview of admission.k8s.io/v1 with a request\n")
    try:
        response = review(question)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        # The API server has checked the object; what still does not fit is refused, and the log says where it broke.
        log.exception("review failed", extra={"uid": uid})
        response = _refuse(500, f"the webhook cannot read this object: {type(error).__name__}: {error}")
    if not response["allowed"]:
        log.info("refused", extra={"object": _describe(question), "reason": response["status"]["message"]})
    return web.json_response(
        {"apiVersion": _API_VERSION, "kind": "AdmissionReview", "response": {"uid": uid, **response}}
    )


def _answer_of(verdict: Verdict) -> dict[str, Any]:
    if verdict.problems:
        return _refuse(422, _text(map(str, verdict.problems)))
    return {"allowed": True} | ({"warnings": list(verdict.warnings)} if verdict.warnings else {})


def _refuse(code: int, message: str) -> dict[str, Any]:
    return {"allowed": False, "status": {"code": code, "message": message}}


def _text(problems: Iterable[str]) -> str:
    return "; ".join(problems)


def _describe(question: Mapping[str, Any]) -> str:
    metadata = (question.get("object") or {}).get("metadata") or {}
    name = question.get("name") or metadata.get("name") or f"{metadata.get('generateName', '')}*"
    return f"{question.get('kind', {}).get('kind')} {question.get('namespace')}/{name}"
