"""The table of options in the operator's manual: `python -m tests.bridge.options_table` prints it."""

from __future__ import annotations

from pymdc.bridge.options import Option, options_of
from pymdc.bridge.settings import Settings

HEAD = "| option | default | what it is |\n| --- | --- | --- |\n"
CONFIG = "| `--config` | | The TOML file. An unknown key in it is an error. |\n"


def row(option: Option) -> str:
    default = option.shown_default
    if default and option.shown is None:
        default = f"`{default}`"
    repeatable = " Repeatable." if option.kind is tuple else ""
    return f"| `--{option.name}` | {default or 'none'} | {option.help}{repeatable} |\n"


def options_table() -> str:
    return HEAD + CONFIG + "".join(row(option) for option in options_of(Settings))


if __name__ == "__main__":
    print(options_table(), end="")
