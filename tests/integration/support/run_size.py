"""How large the long tests are: small enough for every run, or as large as the promises say."""

from __future__ import annotations

import os
from typing import Final

__all__ = ("FULL", "sized")

SIZE: Final = "SOURCEFLOW_TEST_SIZE"
"""The environment variable; ``full`` is the only other size."""

FULL: Final = os.environ.get(SIZE) == "full"


def sized(small: int, full: int) -> int:
    """Return a number for the size of this run."""
    return full if FULL else small
