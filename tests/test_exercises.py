from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from hamner.exercises import NotYet, answers, check_choice, check_function, check_module, random_images, right, shaken

BOXES = torch.tensor([[0.0, 0.2, 0.4, 0.6], [0.2, 0.4, 1.0, 0.8], [0.0, 0.0, 1.0, 1.0]])


def sentence(check, *args, **options) -> str:
    with pytest.raises(NotYet) as caught:
        check(*args, **options)
    return str(caught.value)


def test_a_right_answer_is_said_to_be_right(capsys) -> None:
    check_function(lambda x: 2 * x, (BOXES,), 2 * BOXES)
    right("doubled")
    assert capsys.readouterr().out == "Right: doubled.\n"


def test_a_wrong_shape_is_explained_by_its_axes() -> None:
    def phi(boxes):
        return boxes[:, :2]

    found = sentence(check_function, phi, (BOXES,), BOXES, "one row for each box, x y w h")
    assert found == "your phi has shape (3, 2), expected (3, 4): one row for each box, x y w h"


def test_a_wrong_value_is_named_by_its_place_and_column() -> None:
    def phi(boxes):
        return torch.cat([boxes[:, :3], -boxes[:, 3:]], -1)

    found = sentence(check_function, phi, (BOXES,), BOXES, "", ["x", "y", "w", "h"])
    assert found == "your phi has -0.6 at [0, 3] (h), expected 0.6"


def test_a_typical_mistake_is_recognised() -> None:
    found = sentence(check_function, torch.sort, (BOXES,), {"a": BOXES, "b": BOXES}, mistakes={})
    assert found.startswith("your sort returns one ") or found.startswith("a of your sort")
    mistakes = {"the corners are taken for centre and size": BOXES + 1}
    found = sentence(check_function, lambda x: x + 1, (BOXES,), BOXES, mistakes=mistakes)
    assert found == "your <lambda>: the corners are taken for centre and size"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "your answer returns nothing: write it, and end it with `return`"),
        (..., "your answer returns nothing: write it, and end it with `return`"),
        ([1.0], "your answer is of type list, expected a tensor"),
        (torch.tensor([1.0, float("nan")]), "your answer holds nan at [1]: look at masks and divisions"),
    ],
)
def test_what_is_no_tensor_of_numbers_is_said_to_be_none(answer, said: str) -> None:
    def of_reader():
        return answer

    of_reader.__name__ = "answer"
    assert sentence(check_function, of_reader, (), torch.tensor([1.0, 2.0])) == said


def test_of_several_results_each_is_named() -> None:
    expected = {"rho": torch.tensor([0.5]), "beta": torch.tensor([0.2, 0.8])}
    check_function(lambda: (torch.tensor([0.5]), torch.tensor([0.2, 0.8])), (), expected)
    two = sentence(check_function, lambda: (torch.tensor([0.5]), torch.tensor([0.2, 0.7])), (), expected)
    assert two == "beta of your <lambda> has 0.7 at [1], expected 0.8"
    one = sentence(check_function, lambda: torch.tensor([0.5]), (), expected)
    assert one == "your <lambda> returns one Tensor, expected 2 results: rho, beta"
    three = sentence(check_function, lambda: (1, 2, 3), (), expected)
    assert three == "your <lambda> returns 3 results, expected 2: rho, beta"
    assert "returns nothing" in sentence(check_function, lambda: None, (), expected)


def test_values_that_are_no_tensors_are_compared_as_they_are() -> None:
    check_function(lambda: (4, 2), (), {"a": 4, "b": 2})
    check_function(lambda: 36, (), 36.0)
    assert sentence(check_function, lambda: 35.0, (), 36.0) == "your <lambda> has 35, expected 36"
    assert sentence(check_function, lambda: ((4, 3),), (), {"sizes": (4, 2)}).endswith("is (4, 3), expected (4, 2)")


def test_an_exception_of_the_reader_becomes_one_sentence_with_the_line() -> None:
    names: dict[str, object] = {}
    exec(compile("def f(x):\n    return x @ x\n", "<cell>", "exec"), names)
    import linecache

    linecache.cache["<cell>"] = (0, None, ["def f(x):\n", "    return x @ x\n"], "<cell>")
    found = sentence(check_function, names["f"], (BOXES,), BOXES)
    assert found.startswith("your f stopped at `return x @ x` with RuntimeError: mat1 and mat2")


def test_an_answer_that_was_not_written_is_said_to_be_so() -> None:
    def phi():
        raise NotImplementedError

    assert sentence(check_function, phi, (), BOXES) == "your phi is not written yet"


class Doubled(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.project = nn.Linear(inputs, outputs)

    def forward(self, x):
        return 2 * self.project(x)


class Named(Doubled):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.linear = nn.Linear(inputs, outputs)


class TestModules:
    theirs = shaken(Doubled(4, 2))
    weights = theirs.state_dict()
    expected = theirs(BOXES)

    def test_a_module_with_the_right_weights_is_right(self) -> None:
        check_module(Doubled, (4, 2), self.weights, (BOXES,), self.expected)

    def test_a_parameter_that_is_missing_too_many_or_of_another_shape_is_named(self) -> None:
        assert sentence(check_module, Doubled, (4, 3), self.weights, (BOXES,), self.expected) == (
            "project.weight of your Doubled has shape (3, 4), expected (2, 4)"
        )
        assert sentence(check_module, Named, (4, 2), self.weights, (BOXES,), self.expected) == (
            "your Named has a parameter linear.bias, which the equation does not have"
        )
        more = self.weights | {"norm.weight": BOXES}
        assert "has no parameter norm.weight" in sentence(check_module, Doubled, (4, 2), more, (BOXES,), self.expected)

    def test_a_wrong_result_is_named(self) -> None:
        found = sentence(check_module, Doubled, (4, 2), self.weights, (BOXES,), self.expected / 2)
        assert found.startswith("your Doubled has ")

    def test_a_module_that_cannot_be_built_is_one_sentence(self) -> None:
        found = sentence(check_module, Doubled, (4,), self.weights, (BOXES,), self.expected)
        assert found.startswith("your Doubled.__init__ stopped") and "TypeError" in found


def test_a_wrong_choice_gets_its_reason() -> None:
    why = {"b": "weights that sum to 1 cannot count"}
    check_choice("answer", "a", "a", why)
    assert sentence(check_choice, "answer", "b", "a", why) == "answer is not 'b': weights that sum to 1 cannot count"
    assert sentence(check_choice, "answer", "z", "a", why) == "answer is 'z': choose one of 'a', 'b'"
    assert sentence(check_choice, "answer", ..., "a", why) == "answer is still open: choose one of 'a', 'b'"


def test_jupyter_shows_the_sentence_alone() -> None:
    assert NotYet("your phi is not written yet")._render_traceback_() == ["Not yet: your phi is not written yet"]


def test_shaken_parameters_are_the_same_each_time_and_none_is_zero() -> None:
    one, other = shaken(nn.Linear(3, 3)), shaken(nn.Linear(3, 3))
    assert torch.equal(one.weight, other.weight) and (one.bias != 0).all()


def test_random_images_hold_each_kind_of_mask() -> None:
    images = random_images()
    assert images.object_mask.sum(1).tolist() == [3, 1, 0] and images.image_mask.tolist() == [True, True, False]
    assert (images.boxes[..., 2:] > images.boxes[..., :2]).all()


class TestAnswers:
    def write(self, folder: Path, *cells: tuple[str, str]) -> None:
        notebook = {
            "cells": [
                {"cell_type": "code", "source": source.splitlines(True), "metadata": {"tags": [tag]} if tag else {}}
                for tag, source in cells
            ]
        }
        (folder / "b1_small.ipynb").write_text(json.dumps(notebook))

    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch) -> Path:
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_what_the_reader_wrote_in_another_notebook_is_there(self, here: Path) -> None:
        self.write(here, ("keep", "import math"), ("answer", "def f():\n    return math.pi"), ("", "1 / 0"))
        assert answers("b1_small").f() > 3

    def test_a_notebook_that_is_not_there_is_one_sentence_with_the_remedy(self) -> None:
        assert "take the solutions with answers('b1_small', solved=True)" in sentence(answers, "b1_small")

    def test_a_cell_that_stops_is_named(self, here: Path) -> None:
        self.write(here, ("solution", "x = 1\nx / 0"))
        assert sentence(answers, "b1_small") == (
            "b1_small.ipynb: the cell 'x = 1' stopped at `x / 0` with ZeroDivisionError: division by zero"
        )

    @pytest.mark.parametrize("text", ["{", '{"cells": 3}', "[]"])
    def test_what_is_no_notebook_is_one_sentence(self, here: Path, text: str) -> None:
        (here / "b1_small.ipynb").write_text(text)
        assert "is no notebook" in sentence(answers, "b1_small")

    def test_the_solutions_come_with_the_project(self) -> None:
        assert torch.equal(
            answers("b1_words_and_geometry", solved=True).centre_and_size(BOXES)[0][2], torch.ones(2) / 2
        )
