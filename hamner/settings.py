"""Settings that say whose they are: fields of a config, each with its source, one line of help and its kind."""

from __future__ import annotations

import math
import types
from dataclasses import Field, field, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hamner.errors import HamnerError

Source = Literal["stated", "sibling", "ours"]
"""`stated` by the paper's abstract or a summary of its body; `sibling`: the first author's code (MGCMT); or `ours`."""

_UNKNOWN = object()


def setting(default: Any, source: Source, help: str, sibling: Any = _UNKNOWN) -> Any:
    """A dataclass field that carries its source and one line of help.

    `sibling` is the value that the first author's code has, where that is known and is not the default.
    """
    return field(
        default=default,
        metadata={"source": source, "help": help, "sibling": default if source == "sibling" else sibling},
    )


def sources(config: object) -> dict[str, str]:
    """Field name -> source, for every field of a config, or of a class with its defaults.

    `stated`: the part that the field turns on or off is the paper's, be it on or off here. Else whose the value is.
    """
    return {item.name: _source(item, getattr(config, item.name)) for item in fields(config)}  # type: ignore[arg-type]


def _source(item: Field, value: Any) -> str:
    if item.metadata["source"] == "stated":
        return "stated"
    return "sibling" if value == item.metadata["sibling"] else "ours"


def require_kinds(config: type, values: dict[str, Any], error: type[HamnerError]) -> None:
    """Raise `error` for a value that the field of its name cannot have, be it of another kind, NaN or infinite."""
    hints = get_type_hints(config)
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise error(f"setting {name} cannot be {value!r}: it must be {_spelt(hints[name])}")


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(isinstance(item, get_args(hint)[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _spelt(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    if hint is float:
        return "a finite number"
    return getattr(hint, "__name__", str(hint))
