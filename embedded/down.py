"""`make down`: remove what `make up` made. The cache stays, so the next `make up` is quick.

    python -m embedded.down [--cluster NAME]

An embedded cluster goes with everything in it, Pulumi's state of it included. A cluster that was there before keeps
what `pulumi destroy` keeps on purpose (it says what), and loses the sample and the stack.
"""

import argparse
import shutil
import sys

from embedded import stack, steps
from embedded.steps import python, say
from embedded.tools import paths
from embedded.tools.environment import environment


async def down(cluster: str) -> None:
    """Do it all. Raises StepError or ToolError."""
    state = paths.state_root(cluster)
    if not state.exists():
        say(f"there is no {cluster}")
        return
    if not (state / "cluster.json").exists() and (state / "kubeconfig").exists():
        variables = environment(cluster)
        manifest = str(paths.ROOT / "samples" / "manifests" / "mesh-sample.yaml")
        await steps.run("sample", ["kubectl", "delete", "--ignore-not-found", "-f", manifest], variables)
        await stack.destroy(cluster, variables)
    await steps.run("cluster", python("-m", "embedded.cluster", "delete", cluster))
    shutil.rmtree(state, ignore_errors=True)


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="embedded.down", description="Remove what `make up` made.")
    parser.add_argument("--cluster", default="dev", help="name of the cluster and of its stack")
    return steps.main(down(parser.parse_args().cluster), "make down")


if __name__ == "__main__":
    sys.exit(main())
