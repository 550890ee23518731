"""``python -m samples.run``: deploy the sample, make calls, show who called whom and with which identity over which TLS.

Identity, TLS version and cipher come from the access log of the *server's sidecar*, which took them from the handshake
that it verified; nothing that a pod says of itself is shown. Exit status 1 when a call failed or was not proven.
"""

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from images.build import build
from mesh.api import names
from samples.access_log import Call, calls_in
from samples.kubectl import Kubectl, KubectlError

NAMESPACE = "mesh-sample"
MANIFEST = Path(__file__).parent / "manifests" / "mesh-sample.yaml"
IMAGE = "mesh-sample"
PARTS = ("client", "shop", "stock")
ROLLOUT_SECONDS = 180.0
LOG_SECONDS = 15.0
CALLS = 3
# client -> shop -> stock, and the client past the shop.
URLS = (f"http://shop.{NAMESPACE}/buy", f"http://stock.{NAMESPACE}:9000/look")
GRPC_ADDRESS = f"stock.{NAMESPACE}:9090"
GRPC_METHOD = "/mesh.sample.Echo/Report"
EXPECTED = {("client", "shop", "/buy"), ("shop", "stock", "/reserve"), ("client", "stock", "/look")} | {
    ("client", "stock", GRPC_METHOD)
}


def objects(image: str) -> list[dict[str, Any]]:
    """Return the objects of the sample with *image* in each container."""
    documents = [document for document in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")) if document]
    for document in documents:
        for container in document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            container["image"] = image
    return documents


def deploy(kubectl: Kubectl, image: str) -> None:
    """Apply the sample and wait until every part serves. Raises KubectlError."""
    namespace, *others = objects(image)
    kubectl.apply(namespace)
    kubectl.apply(*others)
    for part in PARTS:
        kubectl.rollout(NAMESPACE, f"deployment/{part}", ROLLOUT_SECONDS)


def call(kubectl: Kubectl, marker: str) -> list[dict[str, Any]]:
    """Let the client make each call, marked so that it is found in the logs; return what it was answered."""
    urls = [f"{url}?call={marker}" for url in URLS for _ in range(CALLS)]
    answers = _in_client(kubectl, "call", *urls)
    mark = ("--metadata", f"x-mesh-request-id:{marker}")
    called = _in_client(kubectl, "grpc", *[GRPC_ADDRESS] * CALLS, *mark)
    return answers + [
        {"url": f"grpc://{row['address']}", "status": 200 if row["status"] == "OK" else row["status"]} for row in called
    ]


def _in_client(kubectl: Kubectl, *arguments: str) -> list[dict[str, Any]]:
    program = ["python3", "-I", "-B", "-m", "samples.app", *arguments]
    output = kubectl.run("-n", NAMESPACE, "exec", "deployment/client", "-c", "client", "--", *program)
    answers: list[dict[str, Any]] = json.loads(output)
    return answers


def proven_calls(kubectl: Kubectl, marker: str) -> list[Call]:
    """Read the marked calls from the logs of all sidecars of the sample; lines may come a moment late."""
    end = time.monotonic() + LOG_SECONDS
    while True:
        calls = []
        for part in PARTS:
            # All pods of the part: while a new version is rolled out, the call may have gone to either.
            logs = ("logs", "-l", f"app={part}", "-c", names.SIDECAR, "--since=5m", "--tail=-1")
            lines = kubectl.run("-n", NAMESPACE, *logs).splitlines()
            calls += [found for found in calls_in(part, lines) if marker in found.uri or marker == found.request_id]
        if {_told(found) for found in calls} >= EXPECTED or time.monotonic() > end:
            return calls
        time.sleep(0.5)


def caller(found: Call) -> str:
    """Return the service account in the identity of the caller, empty when nothing was proven."""
    return found.identity.rpartition("/sa/")[2]


def _told(found: Call) -> tuple[str, str, str]:
    return caller(found), found.server, found.uri.partition("?")[0]


def table(calls: Iterable[Call]) -> str:
    """Return one line per distinct caller, server, path, status and TLS, with the number of calls."""
    counted: dict[tuple[str, ...], int] = {}
    for found in calls:
        path = found.uri.partition("?")[0]
        key = (
            found.identity or "nobody",
            found.server,
            f"{found.method} {path}",
            str(found.status),
            found.tls_version or "plaintext",
            found.tls_cipher or "-",
        )
        counted[key] = counted.get(key, 0) + 1
    rows: list[tuple[str, ...]] = [
        ("CALLER (verified certificate)", "SERVER", "REQUEST", "STATUS", "TLS", "CIPHER", "CALLS")
    ]
    rows += [(*key, str(count)) for key, count in sorted(counted.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def failures(answers: list[dict[str, Any]], calls: list[Call]) -> list[str]:
    """Return what is wrong, empty when every call succeeded and every expected pair was seen over TLS 1.3."""
    found = [f"{row['url']}: {row.get('error') or row['status']}" for row in answers if row["status"] != 200]
    found += [f"{item.server} answered {item.status} to {item.uri}" for item in calls if item.status != 200]
    proven = {_told(item) for item in calls if item.tls_version == "TLSv1.3"}
    found += [
        f"no call of {who} to {server}{path} with a verified identity was seen"
        for who, server, path in sorted(EXPECTED - proven)
    ]
    return found


def main() -> int:
    """Deploy, call, print; 0 when everything was proven."""
    parser = argparse.ArgumentParser(prog="python -m samples.run", description=__doc__)
    parser.add_argument("--image", default="", help="image of the sample; default: the one built here")
    parser.add_argument("--kubeconfig", default=os.environ.get("KUBECONFIG", ""), help="default $KUBECONFIG")
    options = parser.parse_args()
    if not options.kubeconfig:
        parser.error("no cluster: set KUBECONFIG or give --kubeconfig")
    kubectl = Kubectl(Path(options.kubeconfig))
    marker = secrets.token_hex(6)
    try:
        deploy(kubectl, options.image or build((IMAGE,))[0].reference)
        answers = call(kubectl, marker)
        calls = proven_calls(kubectl, marker)
    except KubectlError as error:
        print(f"sample: {error}", file=sys.stderr)
        return 1
    print(table(calls))
    wrong = failures(answers, calls)
    for line in wrong:
        print(f"sample: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
