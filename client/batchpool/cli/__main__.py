"""`python -m batchpool.cli` is `batchpool`."""

from batchpool.cli.main import main

main(prog_name="batchpool")
