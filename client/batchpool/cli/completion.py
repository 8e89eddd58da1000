"""`batchpool completion`: the script by which a shell completes commands and options."""

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    For bash: eval "$(batchpool completion bash)" in ~/.bashrc; zsh likewise. For fish: write it to
    ~/.config/fish/completions/batchpool.fish.
    """
    found = get_completion_class(shell)
    assert found is not None
    root = ctx.find_root()
    click.echo(found(root.command, {}, "batchpool", "_BATCHPOOL_COMPLETE").source())
