"""nginx.conf, rendered once per start of the agent from the image's template. Pure."""

import re
from collections.abc import Callable

from mesh.sidecar.settings import Probe, Settings

_IPV6_LISTENER = re.compile(r"^\s*listen \[::\].*;\n", re.MULTILINE)
_INCLUDE = re.compile(r"@INCLUDE ([a-z0-9._-]+)@")
_MARKER = re.compile(r"@([A-Z][A-Z0-9_]*)@")


class TemplateError(ValueError):
    """The template asks for something that the agent does not know."""


def join(template: str, read: Callable[[str], str]) -> str:
    """Put the files that the template includes into it; *read* gives the text of the one of that name beside it."""
    return _INCLUDE.sub(lambda match: read(match.group(1)).rstrip("\n"), template)


def render(template: str, settings: Settings, *, has_ipv6: bool) -> str:
    """Put the pod's values in place of the markers ``@NAME@``. Raises TemplateError for an unknown marker.

    Without IPv6 in the kernel its listeners are left out: NGINX could not start with them.
    """
    values = {
        "RUN_DIRECTORY": str(settings.run_directory),
        "WORKERS": str(settings.workers),
        "HTTP_PROBES": _locations(settings, "HTTP"),
        "HTTPS_PROBES": _locations(settings, "HTTPS"),
    }
    if not has_ipv6:
        template = _IPV6_LISTENER.sub("", template)

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            raise TemplateError(f"nginx.conf template: got marker @{name}@, takes {', '.join(sorted(values))}")
        return values[name]

    return _MARKER.sub(value, template)


def _locations(settings: Settings, scheme: str) -> str:
    """One exact location per probe: forwarded to the application as the kubelet would call it (contract 5.probes)."""
    return "\n".join(_location(settings.pod_ip, probe) for probe in settings.probes if probe.scheme == scheme)


def _location(pod_ip: str, probe: Probe) -> str:
    address = f"[{pod_ip}]" if ":" in pod_ip else pod_ip
    place = f"{address}:{probe.port}"
    verify = " proxy_ssl_verify off;" if probe.scheme == "HTTPS" else ""
    return (
        f"location = {probe.location} {{ proxy_pass {probe.scheme.lower()}://{place}{probe.path}; "
        f"proxy_set_header Host {probe.host or place}; proxy_redirect off;{verify} }}"
    )
