"""`python -m embedded.plugins.kubernetes ENGINE_ADDRESS`: what the engine starts."""

import sys

from pulumi.runtime.proto import provider_pb2_grpc

from embedded.plugins import serving
from embedded.plugins.kubernetes.provider import Provider

_THREADS = 64  # each may wait minutes for a rollout


def main() -> None:
    provider = Provider(serving.engine_address(sys.argv))
    serving.serve(
        lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server),
        threads=_THREADS,
    )


if __name__ == "__main__":
    main()
