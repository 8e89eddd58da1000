"""`python -m benchmarks.adapters NAME`: serve one peer on stdin and stdout."""

import importlib
import os
import sys

from benchmarks.adapters.serve import serve

os.environ["BENCH_ADAPTER"] = f"benchmarks.adapters.{sys.argv[1]}"
# Imported, not run as __main__: workers must find the tasks under the same module name.
serve(importlib.import_module(os.environ["BENCH_ADAPTER"]).make)
