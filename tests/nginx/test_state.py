"""The document, the SVID and the bundle: what is malformed is refused by name, and what was applied stays (contract 6.state)."""

from collections.abc import Callable

import pytest

from tests.nginx.conftest import SERVER, Pair
from tests.nginx.documents import Document, To
from tests.nginx.network import Pod
from tests.nginx.sidecar import Sidecar, get

HEAD = "mesh\t1\t9.9\ntrust_domain\texample.org\nmode\tstrict\n"
IDENTITY = "identity\t0\tspiffe://example.org/ns/a/sa/b\n"
UPSTREAM = "upstream\t0\ta/b\t80\thttp\trandom\n"


def whole(body: str, head: str = HEAD) -> str:
    """A document with a right last line."""
    return f"{head}{body}end\t{head.count(chr(10)) + body.count(chr(10))}\n"


SPLIT = UPSTREAM + "policy\t0\tsplit\ta/split\npolicy\t1\tbreaker\ta/breaker\n"
MALFORMED = {
    "empty": ("", "end line"),
    "cut short": (HEAD, "end line"),
    "cut in a line": (HEAD + "end\t3", "line feed"),
    "other version": (whole("", "mesh\t2\t9.9\ntrust_domain\texample.org\nmode\toff\n"), "version"),
    "no revision": (whole("", "mesh\t1\ntrust_domain\texample.org\nmode\toff\n"), "first line"),
    "long revision": (whole("", f"mesh\t1\t{'9' * 65}\ntrust_domain\texample.org\nmode\toff\n"), "revision"),
    "not a document": ("GET / HTTP/1.1\r\n\r\n", "got"),
    "wrong count": (HEAD + "end\t4\n", "number of lines"),
    "after the end": (HEAD + "end\t3\nmode\toff\n", "after the end"),
    "no mode": (whole("", "mesh\t1\t9.9\ntrust_domain\texample.org\n"), "mode"),
    "no trust domain": (whole("", "mesh\t1\t9.9\nmode\toff\n"), "trust_domain"),
    "mode twice": (whole("mode\toff\n"), "mode"),
    "bad mode": (whole("", "mesh\t1\t9.9\ntrust_domain\texample.org\nmode\tSTRICT\n"), "off, permissive, strict"),
    "bad trust domain": (whole("", "mesh\t1\t9.9\ntrust_domain\tExample.org\nmode\toff\n"), "trust domain"),
    "control character": (whole("set\tx\t\x01\n"), "character"),
    "quote": (whole('set\tx\t"\n'), "character"),
    "backslash": (whole("set\tx\t\\\n"), "character"),
    "non-ASCII": (whole("set\tx\té\n"), "character"),
    "NUL": (whole("set\tx\t\0\n"), "character"),
    "long line": (whole(f"set\tx\t{'y' * 5000}\n"), "4096"),
    "body size": (whole("set\tclient_max_body_size\t1m\n"), "client_max_body_size"),
    "body size negative": (whole("set\tclient_max_body_size\t-1\n"), "client_max_body_size"),
    "body size huge": (whole(f"set\tclient_max_body_size\t{'9' * 30}\n"), "client_max_body_size"),
    "setting twice": (whole("set\ttransparent\t0\nset\ttransparent\t1\n"), "setting"),
    "transparent": (whole("set\ttransparent\tyes\n"), "0, 1"),
    "log level": (whole("set\terror_log_level\tverbose\n"), "debug"),
    "log format": (whole("set\tlog_format\txml\n"), "json"),
    "port 0": (whole("incoming\t0\thttp\n"), "1..65535"),
    "port 65536": (whole("incoming\t65536\thttp\n"), "1..65535"),
    "port blank": (whole("incoming\t 80\thttp\n"), "1..65535"),
    "port with zero": (whole("incoming\t080\thttp\n"), "1..65535"),
    "port not decimal": (whole("incoming\t1e3\thttp\n"), "1..65535"),
    "port twice": (whole("incoming\t80\thttp\nincoming\t80\ttcp\n"), "each port once"),
    "protocol": (whole("incoming\t80\thttps\n"), "http, grpc, tcp, udp"),
    "missing field": (whole("incoming\t80\n"), "more fields"),
    "identity of another domain": (whole("identity\t0\tspiffe://example.com/ns/a/sa/b\n"), "spiffe://"),
    "identity without path": (whole("identity\t0\tspiffe://example.org\n"), "spiffe://"),
    "identity with dots": (whole("identity\t0\tspiffe://example.org/a/../b\n"), "spiffe://"),
    "identity with empty segment": (whole("identity\t0\tspiffe://example.org/a//b\n"), "spiffe://"),
    "identity with query": (whole("identity\t0\tspiffe://example.org/a?b\n"), "spiffe://"),
    "identity out of order": (whole("identity\t1\tspiffe://example.org/a\n"), "identity"),
    "upstream out of order": (whole(UPSTREAM.replace("\t0\t", "\t3\t")), "upstream"),
    "upstream name": (whole("upstream\t0\tab\t80\thttp\trandom\n"), "namespace"),
    "upstream nameless": (whole("upstream\t0\t-\t80\thttp\trandom\n"), "namespace"),
    "method": (whole(UPSTREAM.replace("random", "fastest")), "load balancing method"),
    "endpoint before upstream": (whole("endpoint\t0\t10.0.0.1\t80\t-\t-\n"), "upstream"),
    "endpoint of another upstream": (whole(UPSTREAM + "endpoint\t1\t10.0.0.1\t80\t-\t-\n"), "upstream"),
    "endpoint address": (whole(UPSTREAM + "endpoint\t0\t10.0.0.256\t80\t-\t-\n"), "address"),
    "endpoint address short": (whole(UPSTREAM + "endpoint\t0\t10.1\t80\t-\t-\n"), "address"),
    "endpoint address v6": (whole(UPSTREAM + "endpoint\t0\t[fd00::1]\t80\t-\t-\n"), "address"),
    "endpoint identity": (whole(IDENTITY + UPSTREAM + "endpoint\t0\t10.0.0.1\t80\t1\t-\n"), "identity"),
    "endpoint identity without any": (whole(UPSTREAM + "endpoint\t0\t10.0.0.1\t80\t0\t-\n"), "identity"),
    "endpoint pod": (whole(UPSTREAM + "endpoint\t0\t10.0.0.1\t80\t-\tpod\n"), "pod"),
    "route without upstream": (whole("route\t10.0.0.1\t80\t0\n"), "upstream"),
    "route to unknown": (whole(UPSTREAM + "route\t10.0.0.1\t80\t1\n"), "upstream"),
    "route twice": (whole(UPSTREAM + "route\t10.0.0.1\t80\t0\n" * 2), "once"),
    "pod without identity": (whole(IDENTITY + "pod\t10.0.0.1\t80\thttp\t-\n"), "identity"),
    "split of an unknown upstream": (whole(SPLIT + "split\t1\t0\tall\n"), "upstream"),
    "split of an unknown policy": (whole(SPLIT + "split\t0\t2\tall\n"), "policy"),
    "split of another kind of policy": (whole(SPLIT + "split\t0\t1\tall\n"), "policy"),
    "split of neither": (whole(SPLIT + "split\t0\t0\tfew\n"), "all, some"),
    "share before split": (whole(SPLIT + "share\t0\t1\n"), "split line above"),
    "share weight": (whole(SPLIT + "split\t0\t0\tall\nshare\t0\t-1\n"), "weight"),
    "split match before split": (whole(SPLIT + "split_match\t0\n"), "split line above"),
    "split match unknown": (whole(SPLIT + "split\t0\t0\tsome\nsplit_match\t0\n"), "match"),
    "breaker out of order": (whole(SPLIT + "breaker\t1\t1\t1\t1\t-\n"), "breaker"),
    "breaker of too many errors": (whole(SPLIT + "breaker\t0\t1\t1001\t1\t-\n"), "0..1000"),
    "breaker fallback": (whole(SPLIT + "breaker\t0\t1\t1\t1\t7\n"), "upstream"),
    "guard unknown": (whole(SPLIT + "guard\t0\t0\n"), "breaker"),
    "guard twice": (whole(SPLIT + "breaker\t0\t1\t1\t1\t-\n" + "guard\t0\t0\n" * 2), "one line for each"),
    "headless upstream": (whole(SPLIT + "headless\t10.0.0.1\t80\t1\n"), "upstream"),
    "pod twice": (whole(IDENTITY + "pod\t10.0.0.1\t80\thttp\t0\n" * 2), "once"),
}


@pytest.mark.spec("6.state")
def test_malformed_documents_are_refused(pair: Pair) -> None:
    """Each names the place and what it takes; revision, generation and traffic are as before."""
    before = pair.client.status()
    with pair.caller() as caller:
        for name, (document, part) in MALFORMED.items():
            pair.client.write("state", document)
            status, text = pair.client.request("POST", "/apply")
            assert status == 422, name
            assert text.startswith("state:"), name
            assert part in text, (name, text)
            assert pair.client.status() == before, name
            assert caller.request("GET", "/").status == 200, name
            before = pair.client.status()


@pytest.mark.spec("6.state")
def test_every_truncation_is_refused(pair: Pair) -> None:
    """A document cut at any byte is not the document."""
    document = pair.client_document().render()
    for length in range(len(document)):
        pair.client.write("state", document[:length])
        status, text = pair.client.request("POST", "/apply")
        assert status == 422, (length, text)
    assert pair.client.apply(document)["revision"] == "1.1"


@pytest.mark.spec("6.state")
def test_unknown_lines_fields_and_settings_are_ignored(pair: Pair) -> None:
    """A newer agent may say more than this NGINX knows; a pod gives way to a route for the same place."""
    body = (
        f"{IDENTITY}novelty\twhatever\nset\tnew_setting\t1\n"
        f"pod\t10.0.0.9\t80\thttp\t0\ta/pod-0\tmore\n{UPSTREAM}"
        "endpoint\t0\t10.0.0.1\t80\t-\t-\tzone-a\nroute\t10.0.0.9\t80\t0\tmore\n"
    )
    assert pair.client.apply(whole(body))["revision"] == "9.9"


@pytest.mark.spec("6.state")
def test_malformed_svid_and_bundle_are_refused(pair: Pair) -> None:
    """Each file is judged by itself: a good document is applied beside a bad SVID; both reasons are told."""
    before = pair.client.status()
    svid = pair.issue(SERVER).context().svid
    other = pair.issue(SERVER).context().svid
    for content in (
        b"",
        b"not PEM",
        svid.chain_pem,
        svid.key_pem,
        svid.chain_pem + other.key_pem,
        svid.chain_pem + svid.key_pem[:-20],
        svid.chain_pem[:-30] + svid.key_pem,
        pair.issue("/no").context().bundle_pem + svid.key_pem,
    ):
        pair.client.write("svid.pem", content)
        pair.client.write("bundle.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        status, text = pair.client.request("POST", "/apply")
        assert status == 422
        assert "bundle.pem: " in text
        assert "svid.pem: " in text
        assert pair.client.status() == before
    document = pair.client_document()
    document.revision = "1.2"
    pair.client.write("state", document.render())
    assert pair.client.request("POST", "/apply")[0] == 422
    after = pair.client.status()
    assert (after["revision"], after["svid_serial"]) == ("1.2", before["svid_serial"])
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
    pair.client.apply(None, pair.issue(SERVER))


@pytest.mark.spec("6.state")
def test_apply_of_nothing_new_changes_nothing(pair: Pair) -> None:
    """The generation grows with a change of content alone."""
    first = pair.client.status()["generation"]
    assert pair.client.apply(pair.client_document())["generation"] == first
    assert pair.client.apply(pair.client_document("permissive"))["generation"] == first + 1


@pytest.mark.spec("6.ready")
def test_ready_says_what_is_missing(start_sidecar: Callable[..., Sidecar], client_pod: Pod, pair: Pair) -> None:
    """Not before a configuration of the controller, an SVID and a bundle; in off the configuration is enough."""
    pair.client.stop()
    sidecar = start_sidecar(client_pod)

    def ready() -> tuple[int, str]:
        return get(client_pod, "127.0.0.1", 8887, "/ready")

    assert ready() == (503, "no configuration yet\n")
    assert sidecar.status()["revision"] is None
    sidecar.apply(Document(revision="-"))
    assert ready() == (503, "no configuration yet\n")
    sidecar.apply(Document())
    assert ready() == (503, "no SVID yet\n")
    sidecar.apply(Document(mode="off"))
    assert ready() == (200, "ready\n")
    status = sidecar.apply(Document(), pair.issue(SERVER))
    assert ready() == (200, "ready\n")
    assert status["svid_spiffe_id"] == f"spiffe://example.org{SERVER}"


@pytest.mark.spec("6.state")
def test_large_table(pair: Pair) -> None:
    """20,000 endpoints are applied and routed by."""
    document = pair.client_document()
    for number in range(2000):
        endpoints = [
            To(f"10.{number >> 8}.{number & 255}.{index + 1}", 8080, f"spiffe://example.org/s/{number}")
            for index in range(10)
        ]
        document.service(f"big/service-{number}", f"10.200.{number >> 8}.{number & 255}", 80, endpoints)
    assert pair.client.apply(document)["ready"]
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
