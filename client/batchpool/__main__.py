"""`python -m batchpool` is the command `batchpool`."""

from batchpool.cli.main import main

main(prog_name="batchpool")
