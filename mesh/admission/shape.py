"""Whether the parts of a pod that injection reads have the types that Kubernetes gives them (contract 5.refused).

The API server has looked before it asks the webhook; nobody has looked at the manifest that `meshctl inject` reads.
What injection does not read may have any shape: the API server will judge it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from mesh.api.errors import Problem, quote

Check = Callable[[str, Any], Iterator[Problem]]


def find_shape_problems(pod: Any) -> Iterator[Problem]:
    """Name every part of *pod* that has not the type which it must have; null is as good as absent."""
    if isinstance(pod, Mapping):
        yield from _POD("", pod)
    else:
        yield Problem("pod", quote(pod), "an object")


def _value(takes: str, *types: type, remedy: str = "") -> Check:
    def check(place: str, value: Any) -> Iterator[Problem]:
        # True is an int to Python, and no number to Kubernetes.
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            yield Problem(place, quote(value), takes, remedy)

    return check


def _object(**fields: Check) -> Check:
    def check(place: str, value: Any) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            yield Problem(place, quote(value), "an object")
            return
        for name, look in fields.items():
            if value.get(name) is not None:
                yield from look(f"{place}.{name}" if place else name, value[name])

    return check


def _list(look: Check) -> Check:
    def check(place: str, value: Any) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield Problem(place, quote(value), "a list")
            return
        for number, item in enumerate(value):
            yield from look(f"{place}[{number}]", item)

    return check


def _texts(place: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield Problem(place, quote(value), "an object")
        return
    kind = place.rpartition(".")[2].removesuffix("s")
    for key, item in value.items():
        yield from _QUOTED(f"{kind} {key}", item)


def _container(place: str, value: Any) -> Iterator[Problem]:
    yield from _CONTAINER(place, value)
    if isinstance(value, Mapping) and not value.get("name"):
        yield Problem(f"{place}.name", "nothing", "the container's name")


def _port(place: str, value: Any) -> Iterator[Problem]:
    yield from _PORT(place, value)
    if isinstance(value, Mapping) and value.get("containerPort") is None:
        yield Problem(f"{place}.containerPort", "nothing", "a port from 1 to 65535")


_QUOTED: Final = _value("text", str, remedy="write it in quotes, without which YAML has numbers, and true, yes and on")
_TEXT: Final = _value("text", str)
_FLAG: Final = _value("true or false", bool)
_NUMBER: Final = _value("a number", int)
_PORT: Final = _object(containerPort=_NUMBER, protocol=_TEXT, name=_TEXT)
_HEADER: Final = _object(name=_TEXT, value=_TEXT)
_HTTP_GET: Final = _object(
    path=_TEXT, host=_TEXT, scheme=_TEXT, port=_value("a port's number or name", int, str), httpHeaders=_list(_HEADER)
)
_PROBE: Final = _object(httpGet=_HTTP_GET, grpc=_object(port=_NUMBER), tcpSocket=_object())
_HOOK: Final = _object(httpGet=_HTTP_GET)
_USER: Final = _object(runAsUser=_NUMBER)
_CONTAINER: Final = _object(
    name=_TEXT,
    args=_list(_TEXT),
    ports=_list(_port),
    volumeMounts=_list(_object(name=_TEXT)),
    securityContext=_USER,
    restartPolicy=_TEXT,
    livenessProbe=_PROBE,
    readinessProbe=_PROBE,
    startupProbe=_PROBE,
    lifecycle=_object(postStart=_HOOK, preStop=_HOOK),
)
_POD: Final = _object(
    metadata=_object(labels=_texts, annotations=_texts, ownerReferences=_list(_object(kind=_TEXT, name=_TEXT))),
    spec=_object(
        containers=_list(_container),
        initContainers=_list(_container),
        volumes=_list(_object(name=_TEXT)),
        securityContext=_USER,
        serviceAccountName=_TEXT,
        serviceAccount=_TEXT,
        hostNetwork=_FLAG,
        terminationGracePeriodSeconds=_NUMBER,
        dnsPolicy=_TEXT,
        os=_object(name=_TEXT),
        nodeSelector=_texts,
    ),
)
