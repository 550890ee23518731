"""The resource provider `kubernetes` 4.32.0: one object of the cluster per Pulumi resource.

`provider` speaks gRPC and hands plain values to create, update, read and delete; those decide with the pure modules
(normalise, diff, force_new, state, readiness) and reach the API server through `cluster` alone.
"""

VERSION = "4.32.0"
"""Equal to the SDK's version: the engine looks plug-ins of its cache up by the exact number."""
