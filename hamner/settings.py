"""Settings: the fields of a config, each with its source, one line of help, and the values that it can have."""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Callable
from dataclasses import Field, field, fields
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform

import pydantic
from pydantic import ConfigDict, ValidationError

from hamner.errors import HamnerError

Source = Literal["stated", "sibling", "ours"]
"""`stated` by the paper's abstract or a summary of its body; `sibling`: the first author's code (MGCMT); or `ours`."""

Share = Annotated[float, pydantic.Field(ge=0, le=1)]

MOST_RATE = 100
"""Upper bound on learning rates, to catch typing errors."""

Rate = Annotated[float, pydantic.Field(gt=0, le=MOST_RATE)]

_UNKNOWN = object()


class ConfigError(HamnerError):
    """A setting is unknown, has a value that it cannot have, or contradicts another one."""


_Config = TypeVar("_Config")


def setting(default: Any, source: Source, help: str, sibling: Any = _UNKNOWN) -> Any:
    """A dataclass field with its source and one line of help.

    `sibling` is the value in the first author's code, where it is known and differs from the default.
    """
    return field(
        default=default,
        metadata={"source": source, "help": help, "sibling": default if source == "sibling" else sibling},
    )


@dataclass_transform(frozen_default=True)
def settings(error: type[ConfigError]) -> Callable[[type[_Config]], type[_Config]]:
    """Make a class of `setting` fields a frozen dataclass whose annotations are checked, without any conversion.

    The class raises `error`, with one sentence that names the setting and the values that it can have.
    """

    def decorated(cls: type[_Config]) -> type[_Config]:
        checked: Any = pydantic.dataclasses.dataclass(
            cls, frozen=True, config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
        )
        init = checked.__init__

        @functools.wraps(init)
        def checked_init(self: Any, *arguments: Any, **values: Any) -> None:
            try:
                init(self, *arguments, **values)
            except ValidationError as problem:
                raise error(_sentence(checked, problem)) from None

        checked.__init__ = checked_init
        return checked

    return decorated


def _sentence(config: Any, problem: ValidationError) -> str:
    """The first problem of a config, in one sentence."""
    known = [item.name for item in fields(config)]
    first = problem.errors(include_url=False)[0]
    place, value, kind = first["loc"][0], _shown(first["input"]), first["type"]
    name = known[place] if isinstance(place, int) else place  # a number is a positional argument's
    if name not in known:
        return f"unknown setting {name!r}; there are {', '.join(known)}"
    bounds = _bounds(config.__pydantic_fields__[name].metadata) or _bounds([_Bound(first.get("ctx", {}))])
    if kind.startswith(("greater_than", "less_than")):
        return f"{name} must be {bounds}, not {value}"
    expected = {
        "literal_error": lambda: f"one of {first['ctx']['expected'].replace(' or ', ', ')}",
        "finite_number": lambda: "a finite number",
        "float_type": lambda: "a finite number",
        "int_type": lambda: "int",
        "bool_type": lambda: "true or false",
        "string_type": lambda: "str",
        "tuple_type": lambda: "tuple of str",
    }.get(kind, lambda: first["msg"].removeprefix("Input should be ").removeprefix("a valid "))()
    return f"setting {name} cannot be {value}: it must be {expected} {bounds}".rstrip()


class _Bound:
    """Bounds as attributes, as pydantic's constraints have them."""

    def __init__(self, values: dict[str, Any]) -> None:
        vars(self).update(values)


def _bounds(constraints: list[Any]) -> str:
    """Bounds in words, such as `from 0 to 1`; "" where there are none."""
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    given = {key: getattr(each, key) for each in constraints for key in words if getattr(each, key, None) is not None}
    if given.keys() == {"ge", "le"}:
        return f"from {given['ge']:,} to {given['le']:,}"
    return " and ".join(f"{words[key]} {value:,}" for key, value in given.items())


def _shown(value: Any) -> str:
    """A value as it stands in a message: cut where it is long."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python does not print integers of more than 4,300 digits
        return "a number of more than 4,300 digits"


def sources(config: object) -> dict[str, str]:
    """Field name -> source, for every field of a config, or of a class with its defaults.

    A setting that turns a part of the paper on or off is `stated` with either value.
    """
    return {item.name: _source(item, getattr(config, item.name)) for item in fields(config)}  # type: ignore[arg-type]


def _source(item: Field, value: Any) -> str:
    if item.metadata["source"] == "stated":
        return "stated"
    return "sibling" if value == item.metadata["sibling"] else "ours"
