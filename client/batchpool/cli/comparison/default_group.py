"""A group of commands of which one needs not to be named."""

import click


class DefaultGroup(click.Group):
    """`NAME ARGUMENTS` runs the command `run` unless the first argument is the name of another."""

    default = "run"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks_for_help = any(arg in ctx.help_option_names for arg in args[:1])
        if not asks_for_help and not (args and args[0] in self.commands):
            args.insert(0, self.default)
        return super().parse_args(ctx, args)
