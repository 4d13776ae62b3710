"""Let the search show guides before the API and decisions: readers look for what to do first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mkdocs.structure.pages import Page

WEIGHTS: Final = {"adr/": 0.1, "reference/api/": 0.3}
"""What hits in the pages of a folder weigh, where those of a guide weigh 1."""


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Weigh the hits of a page; what it says of itself counts more."""
    for folder, weight in WEIGHTS.items():
        if page.file.src_uri.startswith(folder):
            page.meta.setdefault("search", {"boost": weight})
    return markdown
