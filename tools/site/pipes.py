r"""Show a pipe in the code of a table's cell as forges do.

There it is written ``\|``, or it would end the cell. Python-Markdown knows that a pipe in code ends
none, and shows the backslash.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from re import Match

_ROW: Final = re.compile(r"^\|.*\|$", re.MULTILINE)
_CODE: Final = re.compile(r"`[^`\n]+`")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Take the backslashes away."""
    return _ROW.sub(lambda row: _CODE.sub(_plain, row[0]), markdown)


def _plain(code: Match[str]) -> str:
    return code[0].replace("\\|", "|")
