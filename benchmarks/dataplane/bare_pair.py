"""The first rival: Debian's NGINX by itself, as somebody would write it by hand for exactly these Services.

What it shares with ours, so that the module is the only difference: the same package, one worker, the same ciphers and key exchange, keep-alive
pools, unbuffered bodies, the same access log with what plain NGINX knows of it. What it lacks: the original destination (iptables sends
each port to a listener of its own), the exact identity (it verifies the chain, and one DNS name), counters.
"""

from contextlib import ExitStack
from pathlib import Path

from benchmarks.dataplane.processes import NGINX_DIRECTORY, nginx_in_root
from benchmarks.dataplane.subjects import CLIENT_ID_PATH, SERVER_ID_PATH, SERVER_NAME, Pair, Service, redirect
from benchmarks.dataplane.workloads import BULK, GRPC, HTTP, PLAIN, Port
from tests.nginx.network import Pod

_LISTENERS = {HTTP: 8900, GRPC: 8910, BULK: 8920, PLAIN: 8930}

_HEAD = f"""
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid {NGINX_DIRECTORY}/nginx.pid;
# One, as all subjects have.
worker_processes 1;
error_log stderr warn;
events {{ worker_connections 8192; }}
"""

_HTTP = f"""
    # The fields of our log that plain NGINX has; buffered as ours.
    log_format default '$remote_addr [$time_iso8601] "$request" $status $body_bytes_sent $request_time '
                       'peer="$ssl_client_s_dn" tls="$ssl_protocol" cipher="$ssl_cipher" server="$upstream_addr" '
                       'request_id="$http_x_mesh_request_id"';
    access_log /dev/stdout default buffer=16k flush=1s;
    client_body_temp_path {NGINX_DIRECTORY}/body;
    proxy_temp_path {NGINX_DIRECTORY}/proxy;
    fastcgi_temp_path {NGINX_DIRECTORY}/fastcgi;
    uwsgi_temp_path {NGINX_DIRECTORY}/uwsgi;
    scgi_temp_path {NGINX_DIRECTORY}/scgi;
    tcp_nodelay on;
    # Connections live as long as ours.
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    keepalive_time 24h;
    # One connection carries all calls of a gRPC client.
    http2_max_concurrent_streams 1000;
    # Without HTTP/1.1 and an empty Connection there is no pool.
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    # A proxy that is not there streams; ours does.
    proxy_request_buffering off;
    proxy_buffering off;
    proxy_buffer_size 32k;
    proxy_buffers 4 32k;
    proxy_socket_keepalive on;
"""

# What both rivals of ours must do too: TLS 1.3, AES-128-GCM first, a certificate that is asked for and verified, no resumption.
_TO_PEER = f"""
        @_ssl_protocols TLSv1.3;
        @_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256;
        @_ssl_certificate {NGINX_DIRECTORY}/chain.pem;
        @_ssl_certificate_key {NGINX_DIRECTORY}/key.pem;
        @_ssl_trusted_certificate {NGINX_DIRECTORY}/bundle.pem;
        @_ssl_verify on;
        @_ssl_name {SERVER_NAME};
        @_ssl_session_reuse off;
"""
_FROM_PEER = f"""
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256;
        ssl_certificate {NGINX_DIRECTORY}/chain.pem;
        ssl_certificate_key {NGINX_DIRECTORY}/key.pem;
        ssl_client_certificate {NGINX_DIRECTORY}/bundle.pem;
        ssl_verify_client on;
        ssl_session_tickets off;
        ssl_session_cache off;
"""


def start(pair: Pair, _: ExitStack) -> None:
    """Start both NGINX."""
    _start(pair, pair.client, "bare-outgoing", outgoing(pair.known), CLIENT_ID_PATH)
    redirect(pair.client, "OUTPUT", _LISTENERS, by_application_port=False)
    _start(pair, pair.server, "bare-incoming", incoming(), SERVER_ID_PATH)
    listeners = {port: listener + 1 for port, listener in _LISTENERS.items()}
    redirect(pair.server, "PREROUTING", listeners, by_application_port=True)


def _start(pair: Pair, pod: Pod, name: str, text: str, path: str) -> None:
    place: Path = pair.folder(name)
    (place / "nginx.conf").write_text(text)
    pair.write_identity(place, path)
    pair.start_proxy(pod, place, nginx_in_root(pair.binary.root, place, is_proxy=True))


def outgoing(services: list[Service]) -> str:
    """The client's side: a server per Service, told apart by Host; TCP can only go to the last Service."""
    called = services[-1]
    web = "\n".join(_web(number, service) for number, service in enumerate(services))
    tcp = "\n".join(_tcp(port, called) for port in (BULK, PLAIN))
    return f"{_HEAD}\nhttp {{{_HTTP}{web}\n}}\nstream {{{_stream()}{tcp}\n}}\n"


def _upstream(name: str, service: Service, port: Port, more: str = "") -> str:
    servers = "".join(f"        server {address}:{port.application};\n" for address in service.endpoints)
    return f"    upstream {name} {{\n{servers}{more}    }}\n"


def _web(number: int, service: Service) -> str:
    # Wide enough for every connection of the load, and never closed.
    pool = "        keepalive 128;\n        keepalive_requests 1000000000;\n        keepalive_timeout 1h;\n"
    # The options of a listener may be named once.
    backlog = "" if number else " backlog=4096"
    return f"""
{_upstream(f"http_{number}", service, HTTP, pool)}{_upstream(f"grpc_{number}", service, GRPC, pool)}
    server {{
        listen 0.0.0.0:{_LISTENERS[HTTP]}{backlog};
        server_name {service.address};
{_TO_PEER.replace("@", "proxy")}
        location / {{ proxy_pass https://http_{number}; }}
    }}
    server {{
        listen 0.0.0.0:{_LISTENERS[GRPC]}{backlog};
        http2 on;
        server_name {service.address};
{_TO_PEER.replace("@", "grpc")}
        location / {{ grpc_pass grpcs://grpc_{number}; }}
    }}
"""


def _stream() -> str:
    return "\n    tcp_nodelay on;\n    proxy_timeout 24h;\n    proxy_half_close on;\n"


def _tcp(port: Port, service: Service) -> str:
    return f"""
{_upstream(f"tcp_{port.application}", service, port)}
    server {{
        listen 0.0.0.0:{_LISTENERS[port]} backlog=4096;
        proxy_pass tcp_{port.application};
        proxy_ssl on;
{_TO_PEER.replace("@", "proxy")}
    }}
"""


def incoming() -> str:
    """The server's side: TLS ends here, the application is on this pod."""
    pool = "keepalive 128; keepalive_requests 1000000000; keepalive_timeout 1h;"
    tcp = "".join(
        f"""
    server {{
        listen 0.0.0.0:{_LISTENERS[port] + 1} ssl backlog=4096;
        proxy_pass 127.0.0.1:{port.application};
{_FROM_PEER}
    }}
"""
        for port in (BULK, PLAIN)
    )
    return f"""{_HEAD}
http {{
{_HTTP}
    upstream http {{ server 127.0.0.1:{HTTP.application}; {pool} }}
    upstream grpc {{ server 127.0.0.1:{GRPC.application}; {pool} }}
    server {{
        listen 0.0.0.0:{_LISTENERS[HTTP] + 1} ssl backlog=4096;
{_FROM_PEER}
        location / {{ proxy_pass http://http; }}
    }}
    server {{
        listen 0.0.0.0:{_LISTENERS[GRPC] + 1} ssl backlog=4096;
        http2 on;
{_FROM_PEER}
        location / {{ grpc_pass grpc://grpc; }}
    }}
}}
stream {{{_stream()}{tcp}}}
"""
