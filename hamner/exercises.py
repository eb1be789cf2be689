"""The exercises of the notebooks: checks that say in one sentence what is wrong with an answer.

A check cell stays in the copy of a student. It calls `check_function`, `check_module` or `check_choice`, which are
silent about a right answer and raise `NotYet` about a wrong one, and ends with `right`.

What a reader writes in one notebook of the build track is used in the next one: `answers` reads it.
"""

from __future__ import annotations

import json
import linecache
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from hamner.corpora import project_folder
from hamner.errors import HamnerError
from hamner.files import read_text
from hamner.model.batch import ImageFeatures
from hamner.terminal import echo

TOLERANCE = 1e-4
"""Greatest deviation of a right answer, absolute and relative: the order of additions may differ."""

RUN_AGAIN = ("keep", "solution", "answer")
"""Tags of the cells that `answers` runs: imports, and what the reader wrote (a solution in the executed notebooks)."""


class NotYet(HamnerError):  # noqa: N818  said to a student, who has made no error yet
    """An answer is not right yet. Jupyter shows the sentence alone."""

    def _render_traceback_(self) -> list[str]:
        return [f"Not yet: {self}"]


def right(what: str) -> None:
    """Say that an answer is right; the last line of a check cell."""
    echo(f"Right: {what}.")


def check_function(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    expected: Any,
    axes: str = "",
    columns: Sequence[str] = (),
    mistakes: Mapping[str, Tensor] | None = None,
    name: str = "",
) -> None:
    """Call a function that the reader wrote, and compare what it gives.

    Args:
        function: the reader's function.
        inputs: its arguments.
        expected: the right tensor; or name -> tensor (or other value), in order, for a function that returns several.
        axes: what the axes of the result are, to explain a wrong shape.
        columns: names of the places along the last axis, to explain a wrong value.
        mistakes: a sentence -> what comes out if this typical mistake is made.
        name: what the message calls the result; by default "your FUNCTION".

    Raises:
        NotYet: the function stops, or gives something else; the message says which.
    """
    subject = name or f"your {getattr(function, '__name__', 'answer')}"
    _compare_all(subject, _call(subject, function, inputs), expected, axes, columns, mistakes or {})


def check_module(
    module: Callable[..., nn.Module],
    sizes: Sequence[Any],
    weights: Mapping[str, Tensor],
    inputs: Sequence[Any],
    expected: Any,
    axes: str = "",
    mistakes: Mapping[str, Tensor] | None = None,
) -> None:
    """Build a module that the reader wrote, give it these weights, and compare what it gives in eval mode.

    Args:
        module: the reader's class.
        sizes: the arguments of its `__init__`.
        weights: name -> parameter, of a right module.
        inputs, expected, axes, mistakes: as for `check_function`.

    Raises:
        NotYet: the module cannot be built, lacks a parameter or has one too many, stops, or gives something else.
    """
    name = module.__name__ if isinstance(module, type) else "module"
    built = _call(f"your {name}.__init__", module, sizes)
    own = built.state_dict()
    for key, weight in weights.items():
        if key not in own:
            raise NotYet(f"your {name} has no parameter {key}: give its layers the names that the text gives them")
        _require_shape(f"{key} of your {name}", own[key], weight, "")
    if more := sorted(own.keys() - weights.keys()):
        raise NotYet(f"your {name} has a parameter {more[0]}, which the equation does not have")
    built.load_state_dict(dict(weights))
    with torch.no_grad():
        found = _call(f"your {name}", built.eval(), inputs)
        _compare_all(f"your {name}", found, expected, axes, (), mistakes or {})


def check_choice(name: str, answer: Any, correct: Any, why_not: Mapping[Any, str]) -> None:
    """Compare an answer with the right one of several; `why_not` has a sentence for each of the others.

    Raises:
        NotYet: with that sentence, or with the answers that there are.
    """
    if answer is None or answer is ...:
        raise NotYet(f"{name} is still open: choose one of {_listed([correct, *why_not])}")
    if answer in why_not:
        raise NotYet(f"{name} is not {answer!r}: {why_not[answer]}")
    if answer != correct:
        raise NotYet(f"{name} is {answer!r}: choose one of {_listed([correct, *why_not])}")


def shaken(module: nn.Module, seed: int = 0) -> nn.Module:
    """A module with random parameters, in eval mode: a branch that starts at zero would hide a mistake in it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.4, generator=generator)
    return module.eval().requires_grad_(False)


def random_images(seed: int = 0) -> ImageFeatures:
    """Random features of three images, with 4 regions, up to 3 objects and 6 channels, to check a module with.

    The second image has one object, and the third post has no image.
    """
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(3, 3, 2, 2, generator=generator).sort(dim=2).values  # x1 < x2 and y1 < y2
    there = torch.tensor([[True, True, True], [True, False, False], [False, False, False]])
    return ImageFeatures(
        grid=torch.randn(3, 4, 6, generator=generator),
        objects=torch.randn(3, 3, 6, generator=generator),
        boxes=corners.flatten(2),
        classes=torch.randint(1, 3, (3, 3), generator=generator),
        scores=torch.rand(3, 3, generator=generator),
        object_mask=there,
        box_mask=there,
        image_mask=torch.tensor([True, True, False]),
    )


def _listed(choices: Sequence[Any]) -> str:
    return ", ".join(sorted(map(repr, choices)))


def _call(subject: str, function: Callable[..., Any], inputs: Sequence[Any]) -> Any:
    try:
        return function(*inputs)
    except NotImplementedError:
        raise NotYet(f"{subject} is not written yet") from None
    except Exception as error:
        raise NotYet(f"{subject} stopped{_where(error)} with {type(error).__name__}: {error}") from error


def _where(error: Exception) -> str:
    """The line of the reader at which an exception began: the last one that is in no file, as notebook cells are."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not Path(frame.filename).is_file()]
    return f" at `{own[-1].line}`" if own and own[-1].line else ""


def _compare_all(
    subject: str,
    found: Any,
    expected: Any,
    axes: str,
    columns: Sequence[str],
    mistakes: Mapping[str, Tensor],
) -> None:
    if not isinstance(expected, Mapping):
        return _compare(subject, found, expected, axes, columns, mistakes)
    if found is None or found is ...:
        raise NotYet(f"{subject} returns nothing: write it, and end it with `return`")
    names = ", ".join(expected)
    if not isinstance(found, tuple | list):
        raise NotYet(f"{subject} returns one {type(found).__name__}, expected {len(expected)} results: {names}")
    if len(found) != len(expected):
        raise NotYet(f"{subject} returns {len(found)} results, expected {len(expected)}: {names}")
    for (name, tensor), of_reader in zip(expected.items(), found, strict=True):
        _compare(f"{name} of {subject}", of_reader, tensor, axes, columns, mistakes)
    return None


def _compare(
    subject: str, found: Any, expected: Any, axes: str, columns: Sequence[str], mistakes: Mapping[str, Tensor]
) -> None:
    if found is None or found is ...:
        raise NotYet(f"{subject} returns nothing: write it, and end it with `return`")
    if isinstance(expected, float) and isinstance(found, int | float):
        found, expected = torch.tensor(float(found)), torch.tensor(expected)
    if not isinstance(expected, Tensor):
        if found != expected:
            raise NotYet(f"{subject} is {found!r}, expected {expected!r}")
        return
    if not isinstance(found, Tensor):
        raise NotYet(f"{subject} is of type {type(found).__name__}, expected a tensor")
    _require_shape(subject, found, expected, axes)
    found, expected = found.detach().to(torch.float64), expected.detach().to(torch.float64)
    if not (finite := found.isfinite()).all():
        place = (~finite).nonzero()[0].tolist()
        raise NotYet(f"{subject} holds {found[tuple(place)].item()}{_at(place)}: look at masks and divisions")
    if torch.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
        return
    for sentence, wrong in mistakes.items():
        if wrong.shape == found.shape and torch.allclose(found, wrong.to(found), rtol=TOLERANCE, atol=TOLERANCE):
            raise NotYet(f"{subject}: {sentence}")
    # The first place that is wrong, not the worst: readers mend one column after the other.
    close = torch.isclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
    place = (~close).nonzero()[0].tolist()
    column = f" ({columns[place[-1]]})" if columns and place else ""
    value, true = found[tuple(place)].item(), expected[tuple(place)].item()
    raise NotYet(f"{subject} has {value:.4g}{_at(place)}{column}, expected {true:.4g}")


def _require_shape(subject: str, found: Tensor, expected: Tensor, axes: str) -> None:
    if found.shape != expected.shape:
        meaning = f": {axes}" if axes else ""
        raise NotYet(f"{subject} has shape {tuple(found.shape)}, expected {tuple(expected.shape)}{meaning}")


def _at(place: Sequence[int]) -> str:
    return f" at [{', '.join(map(str, place))}]" if place else ""


def answers(notebook: str, solved: bool = False) -> SimpleNamespace:
    """The classes and functions that the reader wrote in another notebook.

    Runs the cells of NOTEBOOK.ipynb that have one of the tags RUN_AGAIN, in order.

    Args:
        notebook: the notebook's name without its ending, such as "b1_words_and_geometry".
        solved: take it from the project's notebooks, which hold the solutions, and not from beside this notebook.

    Returns:
        A namespace with what these cells define.

    Raises:
        NotYet: there is no such notebook, or one of its cells stops.
    """
    folder = project_folder() / "notebooks" if solved else Path()
    path = folder / f"{notebook}.ipynb"
    if not path.is_file():
        raise NotYet(
            f"{path}: there is no such notebook; save it beside this one, or take the solutions with "
            f"answers({notebook!r}, solved=True)"
        )
    try:
        cells = json.loads(read_text(path))["cells"]
        texts = ["".join(cell["source"]) for cell in cells if set(RUN_AGAIN) & set(cell["metadata"].get("tags", []))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotYet(f"{path}: is no notebook ({error!r}); save it in Jupyter again") from error
    names: dict[str, Any] = {"__name__": notebook}
    for number, text in enumerate(texts, start=1):
        file = f"<{notebook}, {number}>"
        linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file  # for the line in an error
        try:
            exec(compile(text, file, "exec"), names)
        except NotYet:
            raise
        except Exception as error:
            raise NotYet(
                f"{path}: the cell {text.strip().splitlines()[0]!r} stopped{_where(error)} with "
                f"{type(error).__name__}: {error}"
            ) from error
    return SimpleNamespace(**{name: value for name, value in names.items() if not name.startswith("__")})
