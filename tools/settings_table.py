"""Print the table of all settings, for docs/guide/settings.md."""

from __future__ import annotations

import inspect

from sourceflow.host.settings.plain import plain
from sourceflow.host.settings.schema import SECTIONS, Option, options_of


def rows() -> list[tuple[str, str, str, str]]:
    """Return the cells of each option: its key, its variable, what it takes, its default."""
    return [
        (_key(option), f"`{option.variable('SOURCEFLOW_')}`", _takes(option), _default(option))
        for section in SECTIONS
        for option in options_of(section).values()
    ]


def _key(option: Option) -> str:
    *tables, name = (option.section, *option.path)
    return f"`[{'.'.join(tables)}] {name}`"


def _takes(option: Option) -> str:
    return option.reader.what.replace(" such as '30s', '5 min' or 'PT30S'", "").replace("'", "`")


def _default(option: Option) -> str:
    if option.default is inspect.Parameter.empty:
        return "required"
    if option.group is not None:
        return "none" if option.default is None else "all defaults"
    if isinstance(option.default, bool):
        return f"`{option.default}`".lower()
    is_nothing = option.default is None or option.default in ("", (), {})
    return "none" if is_nothing else f"`{plain(option.default)}`"


if __name__ == "__main__":
    print("| key | variable | takes | default |\n|---|---|---|---|")
    for cells in rows():
        print(f"| {' | '.join(cells)} |")
