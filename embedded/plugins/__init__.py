"""Stand-ins for Pulumi's Kubernetes provider and Python language host, for machines that cannot download the official
ones. The engine, the SDKs and the state backend are the real ones; the program never knows which plug-in runs.
docs/reference/pulumi-plugins.md says what is equal, what differs and what is refused.
"""
