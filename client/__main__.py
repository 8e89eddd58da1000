"""`python -m client` is `batchpool`."""

from client.cli import main

main(prog_name="batchpool")
