"""What the exit codes of all commands mean.

==== =====================================================
code meaning
==== =====================================================
0    done
1    it ran, and something came out wrong
2    the call or its input is wrong; nothing was done
130  interrupted
==== =====================================================
"""

from __future__ import annotations

from typing import Final

__all__ = ("CAME_OUT_WRONG", "INTERRUPTED", "WRONG_INPUT")

CAME_OUT_WRONG: Final = 1
WRONG_INPUT: Final = 2
INTERRUPTED: Final = 130
