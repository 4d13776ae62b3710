"""Bring into the site what its pages link to outside of ``docs/``.

THREATS.md, SECURITY.md and others stand where forges look for them, and pages link to them by
paths that work in a checkout. MkDocs knows ``docs/`` only. So each file that is linked to becomes
a page below ``project/``, what is no Markdown as a block of code, and the links lead there.
"""

from __future__ import annotations

import posixpath
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = "project"
NAMED: Final = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "THREATS.md")
"""What the navigation leads to, whether a page links to it or not."""

_PATHS: Final[dict[str, Path]] = {}
"""The file that a page was made of."""

_CODE: Final = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_LINK: Final = re.compile(r"(\[[^\]]*\]\()([^)\s#]+)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what is linked to, and what that links to."""
    waiting = [ROOT / name for name in NAMED]
    for page in files.documentation_pages():
        waiting += _outside(_path_of(page.src_uri), page.content_string)
    done: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in done:
            continue
        done.add(path)
        text = path.read_text()
        if path.suffix == ".md":
            waiting += _outside(path, text)
        else:
            text = f"# {path.name}\n\n````{path.suffix[1:] or 'text'}\n{text}````\n"
        uri = _uri_of(path)
        _PATHS[uri] = path
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to the pages that were added."""
    del config, files
    return _replaced(markdown, partial(_in_site, page.file.src_uri))


def _in_site(uri: str, link: str) -> str:
    target = _target(_path_of(uri), link)
    return link if target is None else posixpath.relpath(_uri_of(target), posixpath.dirname(uri))


def _outside(page: Path, text: str) -> Iterator[Path]:
    """Yield the files of the project outside of ``docs/`` that a page links to."""
    found: list[Path | None] = []

    def note(link: str) -> str:
        found.append(_target(page, link))
        return link

    _replaced(text, note)
    return (each for each in found if each is not None and not each.is_relative_to(ROOT / "docs"))


def _replaced(text: str, change: Callable[[str], str]) -> str:
    """Change the links of a text, but nothing in its code."""

    def changed(text: str) -> str:
        return _LINK.sub(lambda match: match[1] + change(match[2]), text)

    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [changed(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, changed(text[end:])])


def _target(page: Path, link: str) -> Path | None:
    """Return the file that a link leads to; None for what leads to the web or nowhere."""
    path = (page.parent / link).resolve()
    return path if "://" not in link and path.is_file() and path.is_relative_to(ROOT) else None


def _path_of(uri: str) -> Path:
    """Return the file of a page."""
    return _PATHS.get(uri) or ROOT / "docs" / uri


def _uri_of(path: Path) -> str:
    """Return where the page of a file is."""
    if path.is_relative_to(ROOT / "docs"):
        return path.relative_to(ROOT / "docs").as_posix()
    uri = f"{FOLDER}/{path.relative_to(ROOT).as_posix()}"
    return uri if path.suffix == ".md" else f"{uri}.md"
