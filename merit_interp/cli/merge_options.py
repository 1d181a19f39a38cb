"""Options that say how to merge, for the verbs that take a method.

    def merge(method: MethodOption = None, settings: SetOption = None) -> None: ...

This file must not import anything that loads torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from merit_interp.errors import SettingError
from merit_interp.recipe import Setting

MethodOption = Annotated[
    str | None,
    typer.Option(
        help="linear (the default), slerp, layer_swap; with --base also task_arithmetic, ties, "
        "dare_linear, dare_ties."
    ),
]
BaseOption = Annotated[
    str | None,
    typer.Option("--base", help="The model that both were made from: directory or hub id."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting of the method, as density=0.5; may be repeated."),
]


def settings_of(pairs: Iterable[str]) -> dict[str, Setting]:
    """Settings as a user writes them: `density=0.5` is a number, `rescale=false` a truth value.

    Raises:
        SettingError: A pair is no name with a value, or a name comes twice.
    """
    settings: dict[str, Setting] = {}
    for pair in pairs:
        name, _, text = (part.strip() for part in pair.partition("="))
        value = _value(text)
        if not name or value is None or name in settings:
            why = f"comes after {name}={settings[name]}" if name in settings else "is no setting"
            raise SettingError(f"--set {pair} {why}", valid="NAME=VALUE, such as density=0.5")
        settings[name] = value
    return settings


def _value(text: str) -> Setting | None:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None
