"""The project's documents, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ("DOCUMENTS", "ROOT", "Block", "Document")

ROOT = Path(__file__).parents[2]
PATTERNS = ("*.md", "changes/README.md", "docs/**/*.md")

BLOCK = re.compile(r'^```(\w*)(?: title="([^"\n]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a document.

    ``prints`` says that the block shows what the Python before it prints: the sentence right
    before it ends in "prints:". ``title`` names the file that the block is, or the terminal.
    """

    language: str
    title: str | None
    code: str
    line: int
    prints: bool


class Document:
    """A file of Markdown."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.text = path.read_text()

    @cached_property
    def blocks(self) -> list[Block]:
        return [
            Block(
                language=match[1],
                title=match[2],
                code=match[3],
                line=self.text.count("\n", 0, match.start(3)) + 1,
                prints=self.text[: match.start()].rstrip().endswith("prints:"),
            )
            for match in BLOCK.finditer(self.text)
        ]

    def blocks_of(self, language: str) -> list[Block]:
        return [block for block in self.blocks if block.language == language]

    @cached_property
    def prose(self) -> str:
        """The text without its blocks."""
        return BLOCK.sub("", self.text)

    @cached_property
    def codes(self) -> list[str]:
        """Every piece of `code` in the prose."""
        return CODE.findall(self.prose)

    @cached_property
    def links(self) -> list[str]:
        return LINK.findall(CODE.sub("", self.prose))

    @cached_property
    def anchors(self) -> set[str]:
        """What its headings are linked by, as forges make it of them."""
        headings = [heading.lower().replace("`", "") for heading in HEADING.findall(self.prose)]
        return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}

    def table(self, *head: str) -> list[tuple[str, ...]]:
        """Return the rows of the table with this head."""
        lines = iter(self.prose.splitlines())
        for line in lines:
            if cells(line) == head:
                next(lines)  # the rule below the head
                break
        else:
            raise LookupError(f"{self.name} has no table with the head {head}")
        rows = []
        for line in lines:
            if not line.startswith("|"):
                break
            rows.append(cells(line))
        return rows

    def __repr__(self) -> str:
        return self.name


def cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1])


DOCUMENTS = sorted(
    (Document(path) for pattern in PATTERNS for path in ROOT.glob(pattern)),
    key=lambda document: document.name,
)
