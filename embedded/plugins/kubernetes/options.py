"""The provider's settings: what is understood, what comes from the environment, what is refused by name."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedded.plugins.kubernetes.properties import Unknown, revealed

_SWITCHES = {
    "enableServerSideApply": "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY",
    "enablePatchForce": "PULUMI_K8S_ENABLE_PATCH_FORCE",
    "upsertExistingObjects": "PULUMI_K8S_UPSERT_EXISTING_OBJECTS",
    "enableConfigMapMutable": "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE",
    "enableSecretMutable": "PULUMI_K8S_ENABLE_SECRET_MUTABLE",
    "deleteUnreachable": "PULUMI_K8S_DELETE_UNREACHABLE",
    # Nothing here warns about old API versions or Helm hooks, so these are true already.
    "suppressDeprecationWarnings": "PULUMI_K8S_SUPPRESS_DEPRECATION_WARNINGS",
    "suppressHelmHookWarnings": "PULUMI_K8S_SUPPRESS_HELM_HOOK_WARNINGS",
}
_TEXTS = ("kubeconfig", "context", "cluster", "namespace", "clusterIdentifier")
_REFUSED = {
    "renderYamlToDirectory": "manifests are not rendered to files",
    "alwaysRender": "manifests are not rendered to files",
    "helmReleaseSettings": "Helm is not supported",
    "rejectUnknownResources": "there is no schema check before the server's own",
    "skipUpdateUnreachable": "an update that did not happen must not look like one",
    "strictMode": "the default provider is always allowed",
}


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of one provider instance."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    namespace: str = ""
    patch_force: bool = False
    upsert: bool = False
    config_map_mutable: bool = False
    secret_mutable: bool = False
    delete_unreachable: bool = False
    request_timeout_seconds: float = 0.0


def problems(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> list[tuple[str, str]]:
    """(option, why) for every setting that is wrong or not supported here; all together."""
    found: list[tuple[str, str]] = []
    for name, value in sorted(given.items()):
        if value is None or isinstance(value, Unknown) or value == "" or name.startswith("__"):
            continue
        if name in _REFUSED and _truth(value) is not False:
            found.append((name, f"{name} is not supported by the stand-in provider: {_REFUSED[name]}"))
        elif name in _SWITCHES and _truth(value) is None:
            found.append((name, f"{name}: takes true or false"))
        elif name == "kubeClientSettings":
            found.extend((name, why) for why in _client_problems(value))
        elif name not in {*_REFUSED, *_SWITCHES, *_TEXTS, "version", "pluginDownloadURL"}:
            found.append((name, f"{name}: no such option of the stand-in provider"))
    if not _switch(given, "enableServerSideApply", environment, default=True):
        found.append(
            ("enableServerSideApply", "enableServerSideApply: takes only true here; there is no client-side apply")
        )
    return found


def _client_problems(value: Any) -> list[str]:
    try:
        settings = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return ["kubeClientSettings: takes a JSON object"]
    if not isinstance(settings, dict):
        return ["kubeClientSettings: takes an object"]
    return [
        f"kubeClientSettings.{name} is not supported by the stand-in provider, which has 16 requests in flight at most"
        for name, setting in sorted(settings.items())
        if name != "timeout" and setting is not None
    ]


def parse(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Options:
    """The options of one provider; call `problems` first."""
    settings = given.get("kubeClientSettings") or {}
    if isinstance(settings, str):
        settings = json.loads(settings)
    timeout = settings.get("timeout") or environment.get("PULUMI_K8S_CLIENT_TIMEOUT") or 0

    def text(name: str) -> str:
        value = revealed(given.get(name))
        if isinstance(value, dict):  # a kubeconfig given as a mapping
            return json.dumps(value)
        return value if isinstance(value, str) else ""

    return Options(
        kubeconfig=text("kubeconfig"),
        context=text("context"),
        cluster=text("cluster"),
        namespace=text("namespace"),
        patch_force=_switch(given, "enablePatchForce", environment),
        upsert=_switch(given, "upsertExistingObjects", environment),
        config_map_mutable=_switch(given, "enableConfigMapMutable", environment),
        secret_mutable=_switch(given, "enableSecretMutable", environment),
        delete_unreachable=_switch(given, "deleteUnreachable", environment),
        request_timeout_seconds=float(timeout),
    )


def _switch(given: Mapping[str, Any], name: str, environment: Mapping[str, str], *, default: bool = False) -> bool:
    value = _truth(given.get(name))
    if value is None:
        value = _truth(environment.get(_SWITCHES[name]))
    return default if value is None else value


def _truth(value: Any) -> bool | None:
    """A switch travels as a boolean or as its text."""
    value = revealed(value)
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else None
