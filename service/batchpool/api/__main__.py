"""`python -m batchpool.api`: serve the API, configured by the environment."""

from batchpool.api.server import run
from batchpool.api.settings import ApiSettings


def main() -> int:
    settings = ApiSettings.of_process()
    run(settings)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
