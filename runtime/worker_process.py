"""The process of a worker: `python -m runtime.worker_process`.

TVM imports torch where that is installed, for tensors that no worker has: two thirds of a worker's start, and 200 MB.
"""

from __future__ import annotations

import sys

# Its import fails, as where it is not installed.
sys.modules["torch"] = None  # type: ignore[assignment]

from runtime.worker import main  # noqa: E402

if __name__ == "__main__":
    main()
