from __future__ import annotations

import itertools
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from transformers import BertConfig, BertModel

from hamner.corpora.tags import TAGS
from hamner.errors import HamnerError
from hamner.figures.architecture import architecture
from hamner.model.config import ModelConfig
from hamner.model.hamner import HamNer
from hamner.model.lexicon import Lexicon
from hamner.training.rows import PEER_ROWS, ROWS, ablate

OWN_ROWS = [row for row in ROWS if row not in PEER_ROWS]
"""The rows of the paper's stages: the figure shows their parts."""

FULL = ModelConfig(layers="mix", width=16, vision=True)
BARE = replace(FULL, relevance=False, integration=False, absolute_geometry=False, relative_geometry=False)
SHARE = {
    "text": ["post", "text.encoder", "sentence", "text.local", "text.project", "words"],
    "objects": ["objects", "vision.objects", "vision.semantic"],
    "spatial": ["vision.spatial", "boxes", "vision.spatial.position", "phi"],
    "image": ["grid", "vision.grid", "memory", "relevance", "integration"],
    "rounds": [f"interaction.{side}.{number}" for number in range(2) for side in ("words", "regions")],
    "end": ["interaction.coattention", "decoder.classify", "decoder.crf", "tags"],
}
EVERYTHING = set(itertools.chain(*SHARE.values()))
OF_TEXT = {"post", "text.encoder", "text.local", "text.project", "words", "decoder.classify", "decoder.crf", "tags"}


def build(config: ModelConfig, **shape: int) -> HamNer:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64} | shape
    with torch.device("meta"):  # a figure needs shapes alone
        return HamNer(config, BertModel(BertConfig(vocab_size=50, **sizes)), TAGS, channels=2048, classes=6)


def test_a_model_without_a_pretrained_encoder_is_refused() -> None:
    model = HamNer(ModelConfig(words="cnn_bilstm"), Lexicon(("a",), ("a",)), TAGS)
    with pytest.raises(HamnerError, match="pretrained text encoder"):
        architecture(model)


def blocks(figure: Figure) -> dict[str, Bbox]:
    """Each drawn block's place, by its name."""
    boxes = {box.get_gid(): box for box in figure.findobj(FancyBboxPatch) if box.get_gid()}
    return {gid.removeprefix("block:"): box.get_bbox() for gid, box in boxes.items()}


def letters(figure: Figure) -> list[tuple[str, Text]]:
    """(block, text) for everything that is written in a block."""
    return [(t.get_gid().removeprefix("text:"), t) for t in figure.findobj(Text) if t.get_gid()]


def arrows(figure: Figure) -> list[tuple[str, str, np.ndarray]]:
    """(start, end, corners) of each arrow."""
    drawn = [(arrow.get_gid().split(":"), arrow) for arrow in figure.findobj(FancyArrowPatch)]
    return [(start, end, arrow._path_original.vertices) for (_, start, end), arrow in drawn]


def on_edge(point: np.ndarray, box: Bbox) -> bool:
    x, y = point
    within = box.xmin <= x <= box.xmax and box.ymin <= y <= box.ymax
    return within and min(x - box.xmin, box.xmax - x, y - box.ymin, box.ymax - y) < 1e-6


@pytest.mark.parametrize(
    ("row", "absent"),
    [
        ("full", set()),
        ("text_only", EVERYTHING - OF_TEXT),
        ("no_local_text", {"text.local"}),
        ("no_global", {"grid", "vision.grid"}),
        ("no_objects", {*SHARE["objects"], *SHARE["spatial"], "integration"}),
        ("no_semantic", {"vision.semantic"}),
        ("no_spatial", set(SHARE["spatial"])),
        ("no_absolute_geometry", {"vision.spatial.position"}),
        ("no_relative_geometry", {"phi"}),
        ("no_relevance", {"relevance"}),
        ("no_integration", {"integration"}),
        ("no_iteration", set(SHARE["rounds"])),
        ("one_iteration", {"interaction.words.1", "interaction.regions.1"}),
        ("no_coattention", {"interaction.regions.1", "interaction.coattention"}),  # the last regions go unread
    ],
)
def test_a_row_lacks_in_the_figure_what_its_model_lacks(row: str, absent: set[str]) -> None:
    assert set(blocks(architecture(build(ablate(FULL, row))))) == EVERYTHING - absent


def test_where_nothing_is_judged_there_is_no_second_stage() -> None:
    figure = architecture(build(BARE))
    assert not {"sentence", "relevance", "integration", "boxes"} & set(blocks(figure))
    assert not any(text.get_text().startswith("2 ") for text in figure.findobj(Text))


def test_more_rounds_make_more_blocks() -> None:
    drawn = blocks(architecture(build(ablate(FULL, "four_iterations"))))
    assert {f"interaction.words.{number}" for number in range(4)} <= set(drawn)
    assert "interaction.words.4" not in drawn


@pytest.mark.parametrize("config", [*(ablate(FULL, row) for row in OWN_ROWS), BARE], ids=[*OWN_ROWS, "bare"])
def test_the_parameters_in_the_blocks_sum_to_those_of_the_model(config: ModelConfig) -> None:
    model = build(config)
    figure = architecture(model)
    last = {name: text.get_text() for name, text in letters(figure)}
    counts = [re.search(r"(?:^|· )([\d,]+)$", line) for line in last.values()]
    total = sum(parameter.numel() for parameter in model.parameters())
    assert sum(int(count[1].replace(",", "")) for count in counts if count) == total
    assert any(f"{total:,} in all" in text.get_text() for text in figure.findobj(Text))


def test_a_frozen_encoder_is_called_so() -> None:
    def encoder_of(config: ModelConfig) -> str:
        return " ".join(
            text.get_text() for name, text in letters(architecture(build(config))) if name == "text.encoder"
        )

    assert "(frozen)" in encoder_of(replace(FULL, frozen_text=True))
    assert "(frozen)" not in encoder_of(FULL)


@pytest.mark.parametrize("config", [*(ablate(FULL, row) for row in OWN_ROWS), BARE], ids=[*OWN_ROWS, "bare"])
def test_each_arrow_leads_from_edge_to_edge_and_through_no_block(config: ModelConfig) -> None:
    figure = architecture(build(config))
    boxes = blocks(figure)
    joined = set()
    for start, end, corners in arrows(figure):
        assert on_edge(corners[0], boxes[start]), (start, end)
        assert on_edge(corners[-1], boxes[end]), (start, end)
        joined |= {start, end}
        for a, b in itertools.pairwise(corners):
            for name, box in boxes.items():
                inside = Bbox.from_extents(box.xmin + 0.01, box.ymin + 0.01, box.xmax - 0.01, box.ymax - 0.01)
                segment = Bbox([np.minimum(a, b) - 1e-6, np.maximum(a, b) + 1e-6])
                assert not inside.overlaps(segment), (start, end, name)
    assert joined == set(boxes)


WIDE = {"hidden_size": 1024, "num_attention_heads": 16, "num_hidden_layers": 24, "intermediate_size": 4096}


@pytest.mark.parametrize(
    ("config", "shape"),
    [(ablate(FULL, row), {}) for row in OWN_ROWS] + [(BARE, {}), (replace(FULL, width=None), WIDE)],
    ids=[*OWN_ROWS, "bare", "of large width"],
)
def test_letters_stay_in_their_blocks_and_blocks_and_lines_of_text_apart(
    config: ModelConfig, shape: dict[str, int]
) -> None:
    figure = architecture(build(config, **shape))
    with warnings.catch_warnings(action="error"):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    to_pixels = figure.axes[0].transData
    boxes = {name: box.transformed(to_pixels) for name, box in blocks(figure).items()}
    for (one, box), (other, second) in itertools.combinations(boxes.items(), 2):
        assert not box.overlaps(second), (one, other)
    places = [(text.get_text(), text.get_window_extent()) for text in figure.findobj(Text) if text.get_text()]
    for (one, place), (other, second) in itertools.combinations(places, 2):
        assert not place.padded(-1.5).overlaps(second.padded(-1.5)), (one, other)
    for name, text in letters(figure):
        place = text.get_window_extent()
        assert boxes[name].xmin <= place.xmin and place.xmax <= boxes[name].xmax, (name, text.get_text())
    for said, place in places:
        assert figure.bbox.xmin <= place.xmin and place.xmax <= figure.bbox.xmax, said
    assert all(text.get_fontsize() >= 7 for text in figure.findobj(Text) if text.get_text())


def test_an_example_runs_through_the_figure_from_its_words_to_its_tags() -> None:
    drawn = letters(architecture(build(FULL), ["Kelso", "waves"], ["B-PER", "O"]))
    lines = {name: [text.get_text() for block, text in drawn if block == name] for name in ("post", "tags")}
    assert lines["post"][-1].endswith("Kelso waves") and lines["tags"][-1].endswith("B-PER O")


def test_the_memory_is_as_long_as_its_grains_and_its_regions_keep_that_length() -> None:
    drawn = letters(architecture(build(FULL)))
    of = {name: text.get_text() for name, text in drawn}
    assert of["memory"].startswith("(R + K + K) ×")
    assert of["interaction.regions.0"].startswith("(R + K + K) ×")
