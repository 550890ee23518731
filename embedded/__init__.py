"""The embedded default: pinned tools, a small Kubernetes and Pulumi plug-ins for a machine that has none of them."""
