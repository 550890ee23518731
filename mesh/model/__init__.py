"""The vocabulary between the parts: identities, the cluster as seen, what each sidecar must do. Pure."""
