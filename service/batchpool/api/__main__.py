"""`python -m batchpool.api`: serve the API, configured by the environment."""

import os
import sys

from batchpool.api.server import run
from batchpool.api.settings import ApiSettings
from batchpool.ledger import failpoints
from batchpool.settings import BadSetting, check_redis_url


def main() -> int:
    try:
        settings = ApiSettings.from_env(os.environ)
        failpoints.arm(os.environ)
        check_redis_url(settings)
    except (BadSetting, failpoints.FailpointRefused) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    run(settings)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
