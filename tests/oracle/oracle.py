"""The rules of docs/reference/decisions.md a second time, from that page alone; nothing of the project is imported.

Written for being checked by reading, over plain values: objects are dictionaries with the names of the page's fields, paths are
text of one character per byte. Where the page speaks of fractions, this computes in fractions.
"""

import re
from fractions import Fraction
from typing import Any

Object = dict[str, Any]

UNJUDGED = "400"


def path(target: str) -> str:
    """The path of a target, or UNJUDGED."""
    if re.search(r"[\x00-\x20\x7f]|\A[a-zA-Z][a-zA-Z0-9+.-]*://(\.*([/?:]|\Z)|[^/?:[]*\.\.)", target):
        return UNJUDGED
    authority = re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://(\[[^]/]+\]|[a-zA-Z0-9.-]+)(:[0-9]*)?(?=[/?]|$)", target)
    if authority:
        target = target[authority.end() :]
        target = target if target.startswith("/") else "/" + target
    # Characters that no longer mean anything are written far above those of bytes until the end.
    raw = re.split("[?#]", target, maxsplit=1)[0]
    if not raw.startswith("/") or re.search("%(?![0-9a-fA-F]{2})|%00", raw):
        return UNJUDGED
    bare = {"%": "\ue000", "?": "\ue001", "#": "\ue002"}
    raw = re.sub("%(..)", lambda found: bare.get(chr(int(found[1], 16)), chr(int(found[1], 16))), raw, flags=re.DOTALL)
    raw = re.sub("/+", "/", raw)
    while re.search(r"/\.(/|\Z)", raw):
        raw = re.sub(r"/\.(/|\Z)", "/", raw, count=1)
    while found := re.search(r"/\.\.(/|\Z)", raw):
        above = raw[: found.start()].rfind("/")
        if above < 0:
            return UNJUDGED
        raw = raw[:above] + "/" + raw[found.end() :]
    return "".join({mark: byte for byte, mark in bare.items()}.get(each, each) for each in raw)


def fits(match: Object, request: Object) -> bool:
    """Whether the request meets every criterion of a match."""
    if match["methods"] and request["method"] not in match["methods"]:
        return False
    if match["path"] and not re.search(match["path"].encode(), path(request["target"]).encode("latin-1")):
        return False
    for name, pattern in match["headers"]:
        values = [value for key, value in request["headers"] if key.lower() == name]
        if not values or name in ("x-mesh-peer-identity", "x-forwarded-client-cert"):
            return False
        if pattern and not re.search(pattern.encode(), ", ".join(values).encode("latin-1")):
            return False
    return True


def access(pod: Object, request: Object) -> tuple[bool, str, str]:
    """(in?, reason, policy) of a request to a pod."""
    if pod["transparent"] or not pod["access_enforced"]:
        return (True, "", "")
    if request["identity"] == "":
        return (False, "access_plaintext", "")
    named = [t for t in pod["targets"] if request["identity"] in t["sources"] and t["port"] in (0, request["port"])]
    if named == []:
        return (False, "access_no_target", "")
    for target in named:
        rules = target["tcp"] if request["protocol"] == "tcp" else any(fits(m, request) for m in target["matches"])
        if target["everything"] or rules:
            return (True, "", target["policy"])
    return (False, "access_no_rule", named[0]["policy"])


def answers(services: Any, called: Any, request: Object, is_open: list[str], left: int = 8) -> dict[Any, Fraction]:
    """{(Service that answers or "", policy that refuses): probability}."""
    here = services[called]
    breaker = here["breaker"]
    if breaker and breaker["policy"] in is_open:
        fallback = breaker["fallback"]
        other = services[fallback]["breaker"] if fallback else None
        if fallback and not (other and other["policy"] in is_open):
            return {(fallback, ""): Fraction(1)}
        return {("", breaker["policy"]): Fraction(1)}
    itself = {(called, ""): Fraction(1)}
    for split in here["splits"] if left else []:
        by_match = request["protocol"] != "tcp" and any(fits(match, request) for match in split["matches"])
        if split["matches"] and not by_match:
            continue
        shares = [(s["service"], s["port"], s["weight"]) for s in split["shares"]]
        shares = [(service, port, weight) for service, port, weight in shares if services[service, port]["endpoints"]]
        total = sum(weight for _, _, weight in shares)
        if total == 0:
            return itself
        result: dict[Any, Fraction] = {}
        for service, port, weight in shares:
            own = (service, port) == called
            below = itself if own else answers(services, (service, port), request, is_open, left - 1)
            for answer, chance in below.items():
                result[answer] = result.get(answer, Fraction(0)) + chance * Fraction(weight, total)
        return {answer: chance for answer, chance in result.items() if chance}
    return itself


def opened(breaker: Object, errors: list[int]) -> list[int]:
    """The times at which errors (their times, rising, in ms) open the circuit."""
    window = breaker["timeout_seconds"] * 1000
    counted: list[int] = []
    openings: list[int] = []
    for now in errors:
        if openings and now < openings[-1] + window:
            continue
        counted.append(now)
        young = [time for time in counted if now - time < window]
        if window and breaker["errors"] and len(young) >= breaker["errors"]:
            openings.append(now)
            counted = []
    return openings


def limited(pod: Object, request: Object) -> tuple[str, int] | None:
    """(policy, number of the bucket) of the limit that holds for a request, or None."""
    if pod["transparent"] or request["protocol"] == "tcp":
        return None
    holding, others = [], []
    for limit in pod["limits"]:
        pods = [number for number, source in enumerate(limit["sources"]) if request["pod"] in source["pods"]]
        if pods and request["pod"]:
            holding.append((limit, pods[0]))
        if limit["sources"] == ():
            others.append((limit, 0))
    for limit, bucket in holding or others:
        on_port = limit["ports"] == () or request["port"] in limit["ports"]
        if on_port and (limit["matches"] == () or any(fits(match, request) for match in limit["matches"])):
            return (limit["policy"], bucket)
    return None


def waits(limit: Object, times: list[int]) -> list[int | None]:
    """For requests of one source at these times (rising, ms): how long each waits, or None for a refusal."""
    rate = Fraction(limit["microrequests"], 1_000_000)
    excess: int | None = None
    last, result = 0, list[int | None]()
    for now in times:
        more = 0 if excess is None else max(0, excess - (now - last) * rate // 1 + 1000)
        if more > limit["burst"] * 1000:
            result.append(None)
            continue
        excess, last = more, now
        beyond = more - limit["delay"] * 1000
        result.append(beyond // rate if limit["delay"] >= 0 and beyond > 0 else 0)
    return result
