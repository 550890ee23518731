"""``meshctl completion bash|zsh|fish``: prints the script that the shell evaluates."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL, as for: source <(meshctl completion bash)."""
    program = "meshctl"
    completion = get_completion_class(shell)
    if completion is None:
        raise click.ClickException(f"no completion for {shell}; there is one for bash, zsh and fish")
    root = context.find_root().command
    click.echo(completion(root, {}, program, "_MESHCTL_COMPLETE").source())
