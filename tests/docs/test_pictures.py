"""Pictures say in words what they show, are readable in light and in dark, and need nothing else."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from project_documents import ROOT

SVG = "{http://www.w3.org/2000/svg}"
PICTURES = sorted((ROOT / "docs" / "pictures").iterdir())
IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
COLOUR = re.compile(r"\.(\w+) \{[^}]*?\bfill: (#[0-9a-f]{6})")
#: The ratio that WCAG 2.2 asks for between a text and what is behind it (1.4.3, level AA).
CONTRAST = 4.5


@pytest.fixture(params=PICTURES, ids=lambda path: path.name)
def picture(request):
    return ET.fromstring(request.param.read_text())


def test_a_picture_has_a_title_and_a_description(picture):
    told = [picture.find(SVG + name) for name in ("title", "desc")]
    ids = {each.get("id"): each.text for each in told}

    assert picture.get("role") == "img"
    assert picture.get("aria-labelledby") == " ".join(ids)
    assert all(ids.values())


def test_a_picture_needs_nothing_else(picture):
    text = ET.tostring(picture, encoding="unicode")

    assert not re.search(r"href|@import|url\((?!#)", text)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(picture, scheme):
    light, dark = picture.findtext(SVG + "style").split("@media (prefers-color-scheme: dark)")
    colours = dict(COLOUR.findall(light.replace("text {", ".text {")))
    if scheme == "dark":
        colours |= dict(COLOUR.findall(dark.replace("text {", ".text {")))

    texts = {colours[name] for name in ("text", "small", "number")}
    grounds = {colours[name] for name in ("card", "here", "aws", "kept", "out")}
    assert min(contrast(text, ground) for text in texts for ground in grounds) >= CONTRAST


def test_a_text_is_within_the_picture(picture):
    """By a width of letters on the safe side: the fonts of readers differ."""
    width = float(picture.get("viewBox").split()[2])
    for text in picture.iter(SVG + "text"):
        written = "".join(text.itertext())
        size = len(written) * (7.2 if "small" in text.get("class") else 8.6)
        middle = float(text.get("x")) + (size / 2 if "left" in text.get("class") else 0)
        assert middle - size / 2 >= 0, written
        assert middle + size / 2 <= width, written


def test_every_picture_is_shown_and_each_is_told_in_words(documents):
    shown = {}
    for document in documents.values():
        for words, link in IMAGE.findall(document.text):
            shown[(document.path.parent / link).resolve()] = words

    assert set(shown) == set(PICTURES)
    assert all(shown.values())


def contrast(one, other):
    """Return the contrast ratio of two colours, as WCAG 2.2 defines it."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
