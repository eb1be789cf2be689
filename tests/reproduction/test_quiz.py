"""The quizzes: one for each notebook, well-formed, balanced, in the book's words, and right where one can compute."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from hamner.corpora import spans
from hamner.model.attention import Attention, Groups, masked_softmax, softmax_by_group
from hamner.model.intra_modality import fourier, phi
from hamner.model.relevance import SHARPNESS
from hamner.study.ablation_tables import ABILITY
from hamner.study.who_sees_what import LACKS
from hamner.tagger.confidence import calibrated

ROOT = Path(__file__).resolve().parents[2]
QUIZ = ROOT / "docs" / "course" / "quiz"
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks" / "py").glob("*_*.py"))
INDEX = QUIZ / "README.md"


@dataclass(frozen=True)
class Question:
    """A question as its page has it: options and reasons by letter, `right` the letter of the answer."""

    title: str
    text: str
    options: dict[str, str]
    right: str
    why: str
    why_not: dict[str, str]

    @property
    def answer(self) -> str:
        return f"{self.options[self.right]} {self.why}"


_QUESTION = re.compile(
    r"(?P<title>[^\n]+)\n\n(?P<text>.+?)\n\n(?P<options>- \*\*A\.\*\* .+?)\n\n<details><summary>Answer</summary>\n\n"
    r"\*\*(?P<right>[A-D])\.\*\* (?P<why>.+?)\n\n(?P<why_not>- [A-D]: .+?)\n\n</details>\n",
    re.DOTALL,
)


def questions(stem: str) -> list[Question]:
    """The questions of one page. A section of another form fails."""
    _, *sections = re.split(r"^## ", (QUIZ / f"{stem}.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    read = []
    for number, section in enumerate(sections, start=1):
        found = _QUESTION.fullmatch(section.rstrip("\n") + "\n")
        assert found, f"{stem}, section {number}"
        assert found["title"].startswith(f"{number}. "), found["title"]
        options = re.findall(r"^- \*\*(\w)\.\*\* (.+?)(?=\n- |\Z)", found["options"], re.MULTILINE | re.DOTALL)
        why_not = re.findall(r"^- (\w): (.+?)(?=\n- |\Z)", found["why_not"], re.MULTILINE | re.DOTALL)
        assert [letter for letter, _ in options] == list("ABCD"), found["title"]
        assert [letter for letter, _ in why_not] == [letter for letter in "ABCD" if letter != found["right"]], stem
        texts = [{letter: " ".join(text.split()) for letter, text in of_letters} for of_letters in (options, why_not)]
        why = " ".join(found["why"].split())
        read.append(Question(found["title"], found["text"], texts[0], found["right"], why, texts[1]))
    return read


@pytest.fixture(scope="module")
def quizzes() -> dict[str, list[Question]]:
    return {stem: questions(stem) for stem in NOTEBOOKS}


def asked(quizzes: dict[str, list[Question]], number: str, title: str) -> Question:
    """The question of this title in the quiz of one notebook."""
    (stem,) = [stem for stem in NOTEBOOKS if stem.startswith(f"{number}_")]
    (question,) = [question for question in quizzes[stem] if question.title.partition(". ")[2] == title]
    return question


# --- form


def test_each_notebook_has_a_quiz_of_eight_questions_and_no_quiz_lacks_its_notebook(
    quizzes: dict[str, list[Question]],
) -> None:
    assert {path.stem for path in QUIZ.glob("*.md")} - {"README"} == set(NOTEBOOKS)
    assert {stem: len(of_stem) for stem, of_stem in quizzes.items()} == dict.fromkeys(NOTEBOOKS, 8)


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_a_quiz_begins_with_its_title_and_a_link_to_its_notebook(stem: str) -> None:
    lines = (QUIZ / f"{stem}.md").read_text(encoding="utf-8").splitlines()
    number = stem.partition("_")[0]
    number = number.upper() if number.startswith("b") else number
    assert lines[0].startswith(f"# Quiz {number}: ")
    assert lines[2] == f"Eight questions about [notebook {number}](../../../notebooks/{stem}.ipynb)."
    assert (QUIZ / lines[2].partition("](")[2].removesuffix(").")).is_file()


def test_no_two_options_of_a_question_and_no_two_titles_of_a_quiz_are_the_same(
    quizzes: dict[str, list[Question]],
) -> None:
    for stem, of_stem in quizzes.items():
        assert len({question.title for question in of_stem}) == 8, stem
        for question in of_stem:
            assert len(set(question.options.values())) == 4, f"{stem}: {question.title}"
            assert min(len(reason.split()) for reason in question.why_not.values()) >= 4, f"{stem}: {question.title}"


def test_neither_the_place_nor_the_length_of_an_option_gives_the_answer_away(
    quizzes: dict[str, list[Question]],
) -> None:
    everything = [question for of_stem in quizzes.values() for question in of_stem]
    places = Counter(question.right for question in everything)
    assert max(places.values()) - min(places.values()) <= 2
    for stem, of_stem in quizzes.items():
        counts = Counter(question.right for question in of_stem)
        assert set(counts) == set("ABCD") and max(counts.values()) <= 3, stem
    for extreme in (max, min):
        told = sum(
            [*map(len, question.options.values())].count(extreme(map(len, question.options.values()))) == 1
            and len(question.options[question.right]) == extreme(map(len, question.options.values()))
            for question in everything
        )
        assert told <= 0.3 * len(everything), f"the right option is the {extreme.__name__} in length {told} times"


# --- links


def test_the_index_and_the_plan_link_every_quiz() -> None:
    for page in (INDEX, ROOT / "docs" / "course" / "plan.md"):
        links = re.findall(r"\]\(([^)]+_[^)]+\.md)\)", page.read_text(encoding="utf-8"))
        assert [Path(link).stem for link in links] == NOTEBOOKS, page.name
        assert all((page.parent / link).is_file() for link in links), page.name


def test_the_index_names_each_quiz_as_its_page_does() -> None:
    rows = re.findall(r"^\| (\w+) \| \[([^\]]+)\]\((\w+)\.md\) \|", INDEX.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == len(NOTEBOOKS)
    for number, title, stem in rows:
        first = (QUIZ / f"{stem}.md").read_text(encoding="utf-8").partition("\n")[0]
        assert stem.startswith(f"{number}_")
        assert first.lower() == f"# Quiz {number}: {title}".lower()


# --- prose

EVERYDAY = {
    r"\bpictures?\b": "image",
    r"\b(may|might|should|perhaps|possibly|usually)\b": "a number, or nothing",
    r"\bwith care\b": "what to do",
    r"\b(which|what) is at\b": "a verb",
    r"\bto be told\b": "to be found",
    r"!(?=\s)": "a full stop",
}
"""What the book's prose avoids, and what it has in its place."""


@pytest.mark.parametrize("stem", ["README", *NOTEBOOKS])
def test_a_quiz_speaks_as_the_book_does(stem: str) -> None:
    text = (QUIZ / f"{stem}.md").read_text(encoding="utf-8")
    assert all(len(line) <= 120 for line in text.splitlines() if not line.startswith("|"))
    prose = re.sub(r"\$[^$]+\$|`[^`]+`|^\|.*$|\]\([^)]*\)", "X", text, flags=re.MULTILINE)
    for pattern, instead in EVERYDAY.items():
        assert not (found := re.search(pattern, prose, re.IGNORECASE)), f"{found[0]!r}: write {instead}"
    for block in re.split(r"\n\s*\n|\n(?=- )", prose):
        for sentence in re.split(r"(?<=[.?:;])\s+", " ".join(block.split())):
            assert len(sentence.split()) <= 24, sentence


# --- answers that can be computed


def shares(*logits: float) -> list[float]:
    return torch.tensor(logits, dtype=torch.float).softmax(0).tolist()


def rho(*cosine: float) -> list[float]:
    return (SHARPNESS * torch.tensor(cosine, dtype=torch.float)).sigmoid().tolist()


def step_of_adamw() -> float:
    weight = nn.Parameter(torch.tensor([[2.0]]))
    weight.grad = torch.zeros(1, 1)
    torch.optim.AdamW([weight], lr=0.1, weight_decay=0.5).step()
    return weight.item()


def clipped_step() -> float:
    weight = nn.Parameter(torch.tensor(0.0))
    ((2 * weight - 6) ** 2).backward()
    nn.utils.clip_grad_norm_([weight], 1.0)
    torch.optim.SGD([weight], lr=0.25).step()
    return weight.item()


def all_paths() -> dict[str, float]:
    """The score of each path of two words in the quiz of notebook 05."""
    emissions = [{"O": 1.0, "B": 0.5, "I": 0.0}, {"O": 0.0, "B": 0.0, "I": 2.0}]
    moves = {"OI": -3.0, "BI": 1.0}
    return {f"{a} {b}": emissions[0][a] + moves.get(a + b, 0.0) + emissions[1][b] for a in "OBI" for b in "OBI"}


def holm(*p_values: float) -> int:
    """How many p-values pass Holm's rule at 5 %."""
    strict = [p <= 0.05 / (len(p_values) - place) for place, p in enumerate(sorted(p_values))]
    return [*strict, False].index(False)


def conv_of_ones() -> list[float]:
    conv = nn.Conv1d(1, 1, kernel_size=7, padding=3, bias=False)
    nn.init.ones_(conv.weight)
    return conv(torch.arange(1.0, 10)[None, None])[0, 0].tolist()


def of_boxes(*boxes: tuple[float, ...]) -> torch.Tensor:
    """phi of two boxes, the second seen from the first, (11,)."""
    return phi(torch.tensor([boxes]), torch.ones(1, 2, dtype=torch.bool))[0, 0, 1]


COMPUTED = [
    ("01", "What padding costs", 3 * max(5, 7, 12) / sum((5, 7, 12)), "1.5"),
    ("02", "The mix of layers", shares(0, 0, math.log(3))[2], "0.6"),
    ("03", "Relevance at a right angle", rho((3 * 4 - 4 * 3) / 25)[0], "0.5"),
    ("03b", "Shares of the grains", shares(0, 0, 1)[2], "0.58"),
    ("03b", "The least share", shares(-1, 1, 1)[0], "0.06"),
    ("03b", "One of ten", 1 - 0.95**10, "0.40"),
    ("03", "AUC by hand", sum(a > b for a in (0.9, 0.6) for b in (0.7, 0.2)) / 4, "0.75"),
    (
        "04",
        "One region of the grid",
        softmax_by_group(
            torch.zeros(1, 18), torch.ones(1, 18, dtype=torch.bool), Groups((16, 1, 1), torch.tensor([[0.2, 0.5, 0.3]]))
        )[0, 0].item(),
        "0.0125",
    ),
    ("05", "The best path", max(all_paths().values()), "3.5"),
    ("05", "From the loss to a probability", math.exp(5.0 - 5.7), "0.50"),
    ("05", "F1", 2 * 3 / (4 + 6), "0.60"),
    ("06", "Weight decay", step_of_adamw(), "1.9"),
    ("06", "A temperature", float(calibrated(0.9, 2.0)), "0.75"),
    ("07", "A yardstick", 2 * math.sqrt(2) * 100 * math.sqrt(0.25 * 0.75 / 300), "7"),
    ("07", "The mean hides it", (100 - 50) / 10, "5"),
    ("07b", "Every image", 300 / (300 + 100), "0.75"),
    ("08", "Chance in the pointing game", 3 / 7, "0.43"),
    ("09", "The harmonic mean", 2 * 60 * 90 / (60 + 90), "72"),
    ("09b", "Twenty tests", 0.05 / 20, "0.0025"),
    ("09b", "The least p-value", 1 / (999 + 1), "0.001"),
    ("09b", "Holm's rule", holm(0.01, 0.03, 0.04), "1"),
    ("10", "How many posts", 12 * (40 / 10) ** 2, "192"),
    ("11", "Several gaps", min(0.5, 1.0, 0.25), "0.25"),
    ("b1", "A kernel of ones", conv_of_ones()[1], "15"),
    ("b1", "One box seen from another", of_boxes((0.1, 0.1, 0.3, 0.5), (0.5, 0.3, 0.9, 0.5))[0].item(), "2.5"),
    ("b1", "One box seen from another", of_boxes((0.1, 0.1, 0.3, 0.5), (0.5, 0.3, 0.9, 0.5))[1].item(), "0.25"),
    ("b2", "What a node receives", 4 / 2 + 8 / 4 - 8 / 4, "2"),
    ("b2", "Regions of the memory", 16 + 5 + 5, "26"),
    ("b3", "The range of relevance", rho(-1)[0], "0.018"),
    ("b3", "The range of relevance", rho(1)[0], "0.982"),
    ("b3", "One softmax", shares(*[0.0] * 26)[0] * 16, "0.62"),
    ("b3", "A word by way of its regions", (torch.tensor([0.8, 0.2]) @ torch.tensor([0.5, 0.0])).item(), "0.4"),
    ("b4", "A padded path", 0.3 + 1.0 + 1.5 + 0.8 + 0.0, "3.6"),
    ("b4", "A clipped step", clipped_step(), "0.25"),
]


@pytest.mark.parametrize(("number", "title", "value", "printed"), COMPUTED)
def test_the_right_option_is_what_one_computes_and_no_other_one_is(
    number: str, title: str, value: float, printed: str, quizzes: dict[str, list[Question]]
) -> None:
    decimals = len(printed.partition(".")[2])
    assert f"{value:.{decimals}f}" == printed
    question = asked(quizzes, number, title)
    alone = rf"(?<![\d.-]){re.escape(printed)}(?!\d|\.\d)"
    assert [letter for letter, option in question.options.items() if re.search(alone, option)] == [question.right]


def test_the_best_path_differs_from_the_best_tags_of_each_word(quizzes: dict[str, list[Question]]) -> None:
    scores, question = all_paths(), asked(quizzes, "05", "The best path")
    assert question.options[question.right].startswith(max(scores, key=scores.__getitem__))
    assert "O O, with 1.0" in question.options["B"] and scores["O O"] == 1.0
    assert "B O, with 0.5" in question.options["C"] and scores["B O"] == 0.5
    assert "$1.0 - 3 + 2.0 = 0$" in question.why_not["A"] and scores["O I"] == 0


def test_the_weights_of_the_wrong_ways_are_those_that_the_options_name(quizzes: dict[str, list[Question]]) -> None:
    masked = asked(quizzes, "b1", "A masked softmax")
    mask = torch.tensor([True, True, False])
    assert masked_softmax(torch.tensor([0.0, 0, 7]), mask).tolist() == [0.5, 0.5, 0]
    assert masked.options[masked.right] == r"$(\frac12, \frac12, 0)$"
    assert f"{shares(0, 0, 7)[0]:.4f}" == "0.0009" and "0.0009" in masked.options["B"]
    pooled = asked(quizzes, "b3", "Pooling a grain")
    products = torch.tensor([0.0, 4 * math.log(2)])
    assert (products / 16**0.5).softmax(0).tolist() == pytest.approx([1 / 3, 2 / 3])
    assert pooled.options[pooled.right] == r"$(\frac13, \frac23)$"
    assert products.softmax(0).tolist() == pytest.approx([1 / 17, 16 / 17])
    assert [f"{share:.2f}" for share in (products / 16).softmax(0).tolist()] == ["0.46", "0.54"]


def test_a_row_without_a_real_place_is_nan_where_the_mask_is_minus_infinity() -> None:
    assert torch.tensor([-math.inf, -math.inf]).softmax(0).isnan().all()
    assert not masked_softmax(torch.zeros(2), torch.zeros(2, dtype=torch.bool)).any()


def test_the_shares_that_wrong_options_name_are_those_of_the_model(quizzes: dict[str, list[Question]]) -> None:
    alone = asked(quizzes, "03b", "An image without objects")
    assert masked_softmax(torch.zeros(3), torch.tensor([True, False, False])).tolist() == [1, 0, 0]
    assert alone.options[alone.right] == "$(1, 0, 0)$"
    assert [round(share, 3) for share in shares(1, -1, -1)] == [0.787, 0.107, 0.107]
    assert "$(0.79, 0.107, 0.107)$" in alone.options.values()
    least = asked(quizzes, "03b", "The least share")
    assert f"{shares(-1, 1)[0]:.2f}" == "0.12" and "0.12" in least.options.values()
    none = (300 / 4 + 100) / 400
    assert f"{none:.2f}" in asked(quizzes, "07b", "Every image").options.values()


def test_what_changes_in_phi_is_what_the_quizzes_say() -> None:
    scene = [(0.1, 0.1, 0.3, 0.5), (0.5, 0.3, 0.9, 0.5)]
    whole = of_boxes(*scene)
    half = of_boxes(*[tuple(side / 2 for side in box) for box in scene])
    assert (~torch.isclose(whole, half, atol=1e-5)).nonzero().flatten().tolist() == [5, 6, 7]  # dx, dy, distance
    moved = [(x1 + 0.1, y1, x2 + 0.1, y2) for x1, y1, x2, y2 in scene]
    assert torch.allclose(of_boxes(*moved), whole, atol=1e-5)
    assert not torch.allclose(fourier(torch.tensor([moved])), fourier(torch.tensor([scene])), atol=0.1)
    overlapping = of_boxes((0.0, 0.0, 0.4, 0.4), (0.2, 0.2, 0.6, 0.6))
    assert overlapping[4].item() == pytest.approx(1 / 7, abs=1e-5)


def test_clipping_and_layer_norm_do_what_the_quizzes_say() -> None:
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([3.0, 4.0])
    nn.utils.clip_grad_norm_([weight], 1.0)
    assert weight.grad.tolist() == pytest.approx([0.6, 0.8], abs=1e-5)
    for vector in ([6.0, 2.0], [60.0, 20.0]):
        assert nn.LayerNorm(2)(torch.tensor(vector)).tolist() == pytest.approx([1, -1], abs=1e-4)


def test_attention_does_not_heed_the_length_of_a_key() -> None:
    attention = Attention(2, heads=1)
    with torch.no_grad():
        attention.query.weight.copy_(torch.eye(2))
        attention.key_value.weight.copy_(torch.cat([torch.eye(2)] * 2))
        for layer in (attention.query, attention.key_value):
            layer.bias.zero_()
    keys, real = torch.tensor([[[0.0, 1.0], [0.0, 10.0]]]), torch.ones(1, 2, dtype=torch.bool)
    _, weights = attention(torch.tensor([[[0.0, 3.0]]]), keys, real)
    assert weights.flatten().tolist() == pytest.approx([0.5, 0.5])


def test_the_protocols_read_orphans_as_the_quizzes_say(quizzes: dict[str, list[Question]]) -> None:
    question = asked(quizzes, "05", "An orphan in gold")
    assert "`O I-PER O`" in question.text and "`O B-PER O`" in question.text
    gold, predicted = ("O", "I-PER", "O"), ("O", "B-PER", "O")
    assert spans(gold, "seqeval") == spans(predicted, "seqeval") != []
    assert spans(gold, "strict") == [] != spans(predicted, "strict")
    assert question.options[question.right].startswith("`seqeval` counts a right entity, and `strict` a spurious one")


@pytest.mark.parametrize(
    ("number", "title", "tags", "protocol", "read"),
    [
        ("01", "Two ways to count", "O I-ORG I-ORG O B-LOC", "seqeval", [("ORG", 1, 3), ("LOC", 4, 5)]),
        ("01", "An orphan behind another type", "B-LOC I-ORG", "strict", [("LOC", 0, 1)]),
        ("01", "An orphan behind another type", "B-LOC I-ORG", "seqeval", [("LOC", 0, 1), ("ORG", 1, 2)]),
    ],
)
def test_the_spans_of_a_question_are_those_that_the_reader_finds(
    number: str,
    title: str,
    tags: str,
    protocol: str,
    read: list[tuple[str, int, int]],
    quizzes: dict[str, list[Question]],
) -> None:
    assert f"`{tags}`" in asked(quizzes, number, title).text
    assert [tuple(span) for span in spans(tuple(tags.split()), protocol)] == read


@pytest.mark.parametrize(
    ("ability", "cue", "ceiling"),
    [
        ("text_only", "scene", 0.25),
        ("no_geometry", "position", 0.5),
        ("no_relevance", "unrelated", 0.0),
    ],
)
def test_the_ceilings_that_the_quizzes_name_are_the_corpuss(ability: str, cue: str, ceiling: float) -> None:
    assert json.loads((ROOT / "data" / "minitweets" / "ceilings.json").read_text())[ability][cue] == ceiling


def test_what_the_quizzes_say_that_an_architecture_lacks_is_what_the_study_says() -> None:
    assert LACKS["mgcmt"] == ("no_geometry",)
    assert {"no_relations", "no_reading"} <= set(LACKS["visual_prefix"])
    assert "no_relevance" in LACKS["concatenation"]
    assert ABILITY["no_spatial"] == "no_geometry"


def test_the_shares_of_grains_in_a_reason_are_possible() -> None:
    """Three cosines give shares of at least 0.063, of which none is more than e^2 times another."""
    text = (QUIZ / "03b_integration.md").read_text(encoding="utf-8")
    named = [tuple(map(float, three)) for three in re.findall(r"\((0\.\d+), (0\.\d+), (0\.\d+)\)", text)]
    assert len(named) >= 4
    for three in named:
        assert sum(three) == pytest.approx(1, abs=0.005), three
        assert max(three) / min(three) <= math.exp(2), three
