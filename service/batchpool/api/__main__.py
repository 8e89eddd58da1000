"""`python -m batchpool.api`: serve the API, configured by the environment."""

import sys

from batchpool.api.server import run
from batchpool.api.settings import ApiSettings
from batchpool.command_help import answer_arguments

ABOUT = "Serve the HTTP API until SIGTERM or SIGINT."


def main() -> int:
    answer_arguments("batchpool.api", ABOUT, ApiSettings, sys.argv[1:])
    settings = ApiSettings.of_process()
    run(settings)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
