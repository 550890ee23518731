"""The application behind every subject: it answers as cheaply as it can, so that the proxies are what is seen."""

from pathlib import Path

from benchmarks.dataplane.processes import nginx_in_root
from benchmarks.dataplane.subjects import Pair
from benchmarks.dataplane.workloads import BULK, GRPC, HTTP, PAYLOAD_BYTES, PLAIN

WEB = f"""
daemon off;
worker_processes 1;
error_log stderr warn;
pid /run/nginx-mesh/nginx.pid;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_time 24h;
    keepalive_timeout 1h;
    client_body_temp_path /run/nginx-mesh/body;
    proxy_temp_path /run/nginx-mesh/proxy;
    fastcgi_temp_path /run/nginx-mesh/fastcgi;
    uwsgi_temp_path /run/nginx-mesh/uwsgi;
    scgi_temp_path /run/nginx-mesh/scgi;
    server {{
        listen 0.0.0.0:{HTTP.application} backlog=4096;
        listen 0.0.0.0:{PLAIN.application} backlog=4096;
        default_type text/plain;
        location / {{ return 200 "{"x" * PAYLOAD_BYTES}"; }}
    }}
}}
"""


def start(pair: Pair, fortio: Path, python: Path, root: Path) -> None:
    """Start the three programs of the application in the server's pod: HTTP, gRPC, and what swallows bytes."""
    web = pair.folder("application-http")
    (web / "nginx.conf").write_text(WEB)
    pair.start_application(web, nginx_in_root(pair.binary.root, web, is_proxy=False))
    grpc = ["-http-port", "disabled", "-tcp-port", "disabled", "-udp-port", "disabled", "-redirect-port", "disabled"]
    grpc += ["-loglevel", "error", "-grpc-port", f"0.0.0.0:{GRPC.application}"]
    pair.start_application(pair.folder("application-grpc"), [str(fortio), "server", *grpc])
    sink = [str(python), str(root / "benchmarks/dataplane/bulk.py"), "sink", str(BULK.application)]
    pair.start_application(pair.folder("application-bulk"), sink)
