"""The architecture as a figure, drawn from a model: blocks that the model lacks are not drawn.

Places are in inches, y downwards. Each block that is drawn has the gid `block:NAME`, its letters `text:NAME`, each
arrow `arrow:START:END`. A block with parameters is named by their place in the model, such as `vision.semantic`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path
from torch import nn

from hamner.drawing.colours import BLACK, BLUE, GREEN, GREY, ORANGE
from hamner.drawing.style import styled
from hamner.errors import HamnerError
from hamner.model.config import ModelConfig
from hamner.model.ham import Ham, ham_of
from hamner.model.hamner import HamNer
from hamner.model.intra_modality import GRAINS, PHI, SpatialBlock, Vision
from hamner.model.text import TextStage
from hamner.settings import sources

WIDTH = 6.4
TEXT, IMAGE = (0.12, 2.76), (2.98, 6.28)
"""Left and right end of the two columns; a text-only model uses both for its text."""
WORDS, REGIONS = (0.5, 2.76), (3.7, 6.28)
"""The two columns in stage 3: arrows from stage 2 pass left of the words."""
JUDGES, CRF, TAGS = (0.12, 2.42), (3.2, 4.4), (4.64, 5.94)
STEERING, WORDS_DOWN, MEMORY_DOWN = 0.27, 2.6, 3.95
"""x of the arrows out of stage 2, and of the two that pass it."""

LOW, HIGH, GAP, EDGE, HEADING = 0.34, 0.46, 0.18, 0.09, 0.26
INPUTS = 0.04 + HEADING
FIRST = INPUTS + HIGH + GAP
SECOND = FIRST + HIGH + GAP
THIRD = SECOND + HIGH + GAP
"""Tops of the rows of stage 1."""
BAND = "#f4f4f4"

SOURCES = sources(ModelConfig)
OUTLINES: dict[str, Any] = {"stated": "solid", "ours": (0, (3.5, 1.8)), "sibling": (0, (1, 1)), "none": "solid"}
LEGEND = {
    "stated": "stated by the paper (form may be ours)",
    "ours": "ours",
    "sibling": "first author's related code",
    "none": "no parameters",
}

Span = tuple[float, float]


@styled
def architecture(model: HamNer, words: Sequence[str] = (), tags: Sequence[str] = ()) -> Figure:
    """Draw the stages of `model`, from post and image to tags: each block with its output's shape and its parameters.

    Shapes are of one post: n words, R regions of the grid, K objects. Blocks of the text are blue and left, blocks of
    the image orange and right, blocks that read both green. Outlines give each block's source. `words` and `tags` of an
    example stand in the first and the last block.
    """
    if not isinstance(model.text, TextStage):
        raise HamnerError("the figure shows a pretrained text encoder, and this model has none: take another run")
    ham = None if model.fusion is None else ham_of(model)
    page = Page()
    bottom, read = _stage_1(page, model, ham, words), "words"
    if ham is not None:
        bottom = _stage_2(page, ham, bottom)
        bottom, read = _stage_3(page, ham, model.text.width, bottom)
    bottom = _decoder(page, model, read, tags, bottom)
    bottom = _legend(page, model, bottom)
    page.axes.set(xlim=(0, WIDTH), ylim=(bottom, 0))
    page.figure.set_size_inches(WIDTH, bottom)
    return page.figure


@dataclass(frozen=True)
class Box:
    """Place of a block: from `left` to `right`, and `height` down from `top`."""

    left: float
    right: float
    top: float
    height: float

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def centre(self) -> float:
        return (self.left + self.right) / 2


class Page:
    """The figure while it is drawn, with the place of each block."""

    def __init__(self) -> None:
        # Without padding, an inch on the axes is an inch on the figure.
        self.figure = Figure(layout=ConstrainedLayoutEngine(w_pad=0, h_pad=0))
        self.axes = self.figure.subplots()
        self.axes.set_axis_off()
        self.boxes: dict[str, Box] = {}
        self.outlines: set[str] = set()
        self.regions = ""  # the memory's shape

    def block(
        self,
        name: str,
        box: Box,
        title: str,
        shape: str,
        source: str,
        colour: str,
        parameters: Iterable[nn.Parameter] | None,
    ) -> None:
        """Draw a block with parameters: the shape of its output, and the number of `parameters`.

        None for a block whose parameters another block shows.
        """
        if parameters is None:
            self._draw(name, box, title, [shape], source, colour)
            return
        learnt = list(parameters)
        count = f"{sum(parameter.numel() for parameter in learnt):,}"
        if not any(parameter.requires_grad for parameter in learnt):
            count += " (frozen)"
        self._draw(name, box, title, [shape, count], source, colour)

    def tensor(self, name: str, box: Box, title: str, *lines: str) -> None:
        """Draw an input, or a block without parameters."""
        self._draw(name, box, title, lines, "none", GREY)

    def _draw(self, name: str, box: Box, title: str, lines: Sequence[str], source: str, colour: str) -> None:
        self.boxes[name] = box
        self.outlines.add(source)
        self.outline(box, source, colour, gid=f"block:{name}")
        if box.right - box.left > 1.25:
            lines = [" · ".join(lines)]
        step = min(0.137, (box.height - 0.02) / (1 + len(lines)))
        for number, line in enumerate([title, *lines]):
            y = box.top + box.height / 2 + (number - len(lines) / 2) * step
            size: dict[str, Any] = {"fontsize": 7} if number else {"fontsize": 7.5, "weight": "bold"}
            self.axes.text(box.centre, y, line, ha="center", va="center", zorder=4, gid=f"text:{name}", **size)

    def outline(self, box: Box, source: str, colour: str, **options: Any) -> None:
        """Draw a frame, filled with a tint of `colour`; its line gives the block's source (OUTLINES)."""
        tint = "white" if source == "none" else [0.84 + 0.16 * part for part in to_rgb(colour)]
        shape: Any = "round,pad=0,rounding_size=0.05"
        patch = FancyBboxPatch((box.left, box.top), box.right - box.left, box.height, shape, zorder=3, **options)
        patch.set(facecolor=tint, edgecolor=colour, linestyle=OUTLINES[source])
        patch.set(linewidth=0.8 if source == "none" else 1.3)
        self.axes.add_patch(patch)

    def arrow(self, start: str, end: str, *points: Span) -> None:
        """Draw an arrow along `points`, from the edge of block `start` to the edge of block `end`."""
        line = FancyArrowPatch(path=Path(points), arrowstyle="-|>,head_length=3.4,head_width=1.7", mutation_scale=1)
        line.set(color=BLACK, linewidth=0.9, joinstyle="miter", zorder=2, gid=f"arrow:{start}:{end}")
        self.axes.add_patch(line)

    def down(self, start: str, end: str, x: float | None = None, to: float | None = None) -> None:
        """Draw an arrow down, from `start` at `x` to `end` at `to`; by default in the middle of their common width."""
        above, below = self.boxes[start], self.boxes[end]
        if x is None:
            x = (max(above.left, below.left) + min(above.right, below.right)) / 2
        to = x if to is None else to
        between = (above.bottom + below.top) / 2
        turns = [] if x == to else [(x, between), (to, between)]
        self.arrow(start, end, (x, above.bottom), *turns, (to, below.top))

    def band(self, top: float, bottom: float, heading: str) -> None:
        self.axes.add_patch(Rectangle((0.04, top), WIDTH - 0.08, bottom - top, color=BAND, linewidth=0, zorder=0))
        self.axes.text(WIDTH - 0.12, top + 0.14, heading, fontsize=8.5, weight="bold", ha="right", va="center")


def _lanes(column: Span, count: int, gap: float = 0.1) -> list[Span]:
    """Cut a column into `count` lanes of one width."""
    width = (column[1] - column[0] + gap) / count
    return [(column[0] + number * width, column[0] + (number + 1) * width - gap) for number in range(count)]


def _stage_1(page: Page, model: HamNer, ham: Ham | None, example: Sequence[str]) -> float:
    """Draw stage 1, text and image by themselves. Returns the y of its end, as do the stages below."""
    _text(page, model, ham, example)
    if ham is not None:
        _image(page, ham.vision, model.text.width)
    bottom = THIRD + LOW + EDGE
    page.band(0.04, bottom, "1 Intra-modality representation")
    return bottom


def _text(page: Page, model: HamNer, ham: Ham | None, example: Sequence[str]) -> None:
    assert isinstance(model.text, TextStage)
    text, shape = model.text, f"n × {model.text.width}"
    encoder, config = text.encoder, text.encoder.config
    sentence = None if ham is None else ham.sentence
    column = TEXT if ham is not None else (TEXT[0], IMAGE[1])
    lanes = _lanes(column, 1 + (sentence is not None) + (text.local is not None))

    page.tensor("post", Box(*column, INPUTS, HIGH), "Post", "n words", *([" ".join(example)] if example else []))
    box, title = Box(*column, FIRST, HIGH), f"Text encoder, {config.num_hidden_layers} layers"
    # The paper states a text encoder; which one is ours.
    page.block("text.encoder", box, title, f"n × {config.hidden_size}", "stated", BLUE, encoder.parameters())
    page.down("post", "text.encoder")
    if sentence is not None:
        box, title = Box(*lanes.pop(0), SECOND, HIGH), r"Sentence $\mathbf{s}$"
        page.block("sentence", box, title, f"{text.width}", "ours", BLUE, sentence.parameters())
        page.down("text.encoder", "sentence")
    page.tensor("words", Box(lanes[0][0], lanes[-1][1], THIRD, LOW), r"Words $\mathbf{T}$", shape)
    if text.local is not None:
        box, source = Box(*lanes.pop(0), SECOND, HIGH), SOURCES["local_text"]
        page.block("text.local", box, "Convolution", shape, source, BLUE, text.local.parameters())
        page.down("text.encoder", "text.local")
        page.down("text.local", "words")
    title, mix = ("Last layer", []) if text.mix is None else ("Layer mix", [text.mix])
    box, parameters = Box(*lanes[0], SECOND, HIGH), [*text.project.parameters(), *mix]
    page.block("text.project", box, title, shape, SOURCES["layers"], BLUE, parameters)
    page.down("text.encoder", "text.project")
    page.down("text.project", "words")


def _image(page: Page, vision: Vision, width: int) -> None:
    grid, objects, semantic, spatial = vision.grid, vision.objects, vision.semantic, vision.spatial
    lanes = _lanes(IMAGE, sum(part is not None for part in (grid, objects, spatial)))
    grains = [("R", "G", grid), ("K", "O_{sem}", semantic), ("K", "O_{spa}", spatial)]
    there = [(count, symbol) for count, symbol, part in grains if part is not None]
    title = rf"Memory $\mathbf{{M = [{'; '.join(symbol for _, symbol in there)}]}}$"
    size = " + ".join(count for count, _ in there)
    size = f"({size})" if len(there) > 1 else size
    page.regions = f"{size} × {width}"
    page.tensor("memory", Box(*IMAGE, THIRD, LOW), title, page.regions)
    if grid is not None:
        lane, source = lanes.pop(0), SOURCES["global_vision"]
        page.tensor("grid", Box(*lane, INPUTS, HIGH), "Grid", f"R × {_channels(grid)}")
        box, title = Box(*lane, FIRST, HIGH), r"Image $\mathbf{G}$"
        page.block("vision.grid", box, title, f"R × {width}", source, ORANGE, grid.parameters())
        page.down("grid", "vision.grid")
        page.down("vision.grid", "memory")
    if objects is not None:
        lane, source = lanes.pop(0), SOURCES["objects"]
        channels = f"K × {_channels(objects.feature)}"
        page.tensor("objects", Box(*lane, INPUTS, HIGH), "Objects", channels, "class, score")
        box, title = Box(*lane, FIRST, HIGH), r"Objects $\mathbf{O}$"
        page.block("vision.objects", box, title, f"K × {width}", source, ORANGE, objects.parameters())
        page.down("objects", "vision.objects")
    if objects is not None and semantic is not None:
        box, title, source = Box(*lane, SECOND, HIGH), r"Semantic $\mathbf{O_{sem}}$", SOURCES["semantic"]
        page.block("vision.semantic", box, title, f"K × {width}", source, ORANGE, semantic.parameters())
        page.down("vision.objects", "vision.semantic")
        if grid is not None:  # the scene is a node too
            page.down("vision.grid", "vision.semantic", page.boxes["vision.grid"].right - 0.15, box.left + 0.15)
        page.down("vision.semantic", "memory")
    if spatial is not None:
        _spatial(page, spatial, lanes.pop(0), width)


def _channels(encoding: nn.Module) -> int:
    """Count the channels of the features that `encoding` reads."""
    return next(layer.in_features for layer in encoding.modules() if isinstance(layer, nn.Linear))


def _spatial(page: Page, spatial: SpatialBlock, lane: Span, width: int) -> None:
    """Draw the spatial encoding, and above it its two inputs from the boxes: places and pairs."""
    box, title, source = Box(*lane, SECOND, HIGH), r"Spatial $\mathbf{O_{spa}}$", SOURCES["spatial"]
    beside = [parameter for name, parameter in spatial.named_parameters() if not name.startswith("position.")]
    page.block("vision.spatial", box, title, f"K × {width}", source, ORANGE, beside)
    page.down("vision.objects", "vision.spatial", page.boxes["vision.objects"].right - 0.12, box.left + 0.1)
    page.down("vision.spatial", "memory")
    ways = sum(way is not None for way in (spatial.position, spatial.pairs))
    geometry = _lanes(lane, ways or 1, gap=0.05)
    if ways:
        page.tensor("boxes", Box(*lane, INPUTS, HIGH), "Boxes", "K × 4")
    if spatial.position is not None:
        name, box, source = "vision.spatial.position", Box(*geometry.pop(0), FIRST, HIGH), SOURCES["absolute_geometry"]
        page.block(name, box, "Places", f"K × {width}", source, ORANGE, spatial.position.parameters())
        page.down("boxes", name)
        page.down(name, "vision.spatial")
    if spatial.pairs is not None:
        page.tensor("phi", Box(*geometry.pop(0), FIRST, HIGH), r"Pairs $\mathbf{\varphi}$", f"K² × {PHI}")
        page.down("boxes", "phi")
        page.down("phi", "vision.spatial")


def _stage_2(page: Page, ham: Ham, top: float) -> float:
    """Draw stage 2, relevance and integration; nothing for a model without both."""
    relevance = ham.relevance
    if ham.sentence is None:
        return top
    top += GAP / 2
    level = top + HEADING - 0.04
    row = level + 0.15
    lanes = _lanes(JUDGES, relevance.judges + relevance.weighs)
    legend = []
    # Both pool the grains with the same parameters, which stand in the first block.
    shared = [*relevance.query.parameters(), *relevance.vision_norm.parameters()]
    if relevance.judges:
        box, title, source = Box(*lanes.pop(0), row, HIGH), r"Relevance $\mathbf{\rho}$", SOURCES["relevance"]
        own = [*relevance.of_text.parameters(), *relevance.of_image.parameters()]
        page.block("relevance", box, title, "1", source, GREEN, shared + own)
        shared = []
        legend.append(r"$\rho$: how much of the image reaches the words")
    if relevance.weighs:
        box, title, source = Box(*lanes.pop(0), row, HIGH), r"Integration $\mathbf{\beta}$", SOURCES["integration"]
        own = [*relevance.asked.parameters(), *relevance.of_grain.parameters()]
        page.block("integration", box, title, f"{len(GRAINS)} shares", source, GREEN, shared + own)
        legend.append(r"$\beta$: how much each grain counts in it")
    for start, x in (("sentence", page.boxes["sentence"].centre), ("memory", MEMORY_DOWN)):
        for name in _judges(page):
            to = page.boxes[name].centre
            page.arrow(start, name, (x, page.boxes[start].bottom), (x, level), (to, level), (to, row))
    # The words pass over the line from the memory, which leaves a gap for them.
    page.axes.vlines(WORDS_DOWN, level - 0.035, level + 0.035, color=BAND, linewidth=5, zorder=2)
    for number, line in enumerate(legend):
        page.axes.text(IMAGE[1], row + 0.12 + 0.16 * number, line, fontsize=7, ha="right", va="center")
    bottom = row + HIGH + GAP
    page.band(top, bottom, "2 Relevance-guided integration")
    return bottom


def _judges(page: Page) -> list[str]:
    return [name for name in ("relevance", "integration") if name in page.boxes]


def _stage_3(page: Page, ham: Ham, width: int, top: float) -> tuple[float, str]:
    """Draw stage 3: words and regions in turn, half a step apart, so that each reads from its neighbour.

    Returns the y of its end, and the name of the block that the decoder reads.
    """
    interaction = ham.interaction
    top += GAP / 2
    step = LOW + 0.17
    row = top + HEADING
    words, regions = "words", "memory"
    for number, reader in enumerate(interaction.words):
        name, title = f"interaction.words.{number}", rf"$\mathbf{{T^{number + 1}}}$: words read regions"
        # The paper states the iterations; their number is ours.
        page.block(name, Box(*WORDS, row, LOW), title, f"n × {width}", "stated", GREEN, reader.parameters())
        _read(page, words, regions, name)
        words = name
        if number < len(interaction.regions):
            name, title = f"interaction.regions.{number}", rf"$\mathbf{{M^{number + 1}}}$: regions read words"
            box, parameters = Box(*REGIONS, row + step / 2, LOW), interaction.regions[number].parameters()
            page.block(name, box, title, page.regions, "stated", GREEN, parameters)
            page.down(regions, name, MEMORY_DOWN)
            level = row + LOW - 0.05
            page.arrow(words, name, (WORDS[1], level), (REGIONS[0], level))
            regions = name
        row += step
    if interaction.coattention is not None:
        name, source = "interaction.coattention", SOURCES["coattention"]
        box, parameters = Box(*WORDS, row, LOW), interaction.coattention.parameters()
        page.block(name, box, "Co-attention, gate", f"n × {width}", source, GREEN, parameters)
        _read(page, words, regions, name)
        words = name
    bottom = max(box.bottom for box in page.boxes.values()) + EDGE
    page.band(top, bottom, "3 Cross-modal interaction")
    return bottom, words


def _read(page: Page, words: str, regions: str, name: str) -> None:
    """Draw the arrows to block `name` of stage 3: from its words, from its regions, and from stage 2."""
    box = page.boxes[name]
    page.down(words, name, WORDS_DOWN)
    level = box.top + 0.05
    from_memory = [(MEMORY_DOWN, page.boxes[regions].bottom), (MEMORY_DOWN, level)]
    page.arrow(regions, name, *(from_memory if regions == "memory" else [(REGIONS[0], level)]), (WORDS[1], level))
    for judge in _judges(page):
        judging = page.boxes[judge]
        x, below, level = judging.left + STEERING - JUDGES[0], judging.bottom + GAP / 2, box.top + LOW / 2
        page.arrow(
            judge, name, (x, judging.bottom), (x, below), (STEERING, below), (STEERING, level), (WORDS[0], level)
        )


def _decoder(page: Page, model: HamNer, words: str, example: Sequence[str], top: float) -> float:
    decoder, tags = model.decoder, len(model.decoder.tags)
    colour = BLUE if model.fusion is None else GREEN
    top += GAP / 2
    row = top + EDGE
    level = row + LOW / 2
    # The paper leaves the decoder open; its first author's related code has a linear layer and a CRF.
    box, parameters = Box(*WORDS, row, LOW), decoder.classify.parameters()
    page.block("decoder.classify", box, "Emissions", f"n × {tags}", "sibling", colour, parameters)
    page.block(
        "decoder.crf", Box(*CRF, row, LOW), "CRF", f"{tags} × {tags}", "sibling", colour, decoder.crf.parameters()
    )
    page.tensor("tags", Box(*TAGS, row, LOW), "Tags", "n", *([" ".join(example)] if example else []))
    page.down(words, "decoder.classify", None if model.fusion is None else WORDS_DOWN)
    page.arrow("decoder.classify", "decoder.crf", (WORDS[1], level), (CRF[0], level))
    page.arrow("decoder.crf", "tags", (CRF[1], level), (TAGS[0], level))
    page.band(top, row + LOW + EDGE, "CRF")
    return row + LOW + EDGE


def _legend(page: Page, model: HamNer, top: float) -> float:
    letters: dict[str, Any] = {"fontsize": 7, "va": "center"}
    x = TEXT[0]
    for source, label in LEGEND.items():
        if source in page.outlines:
            page.outline(Box(x, x + 0.24, top + 0.09, 0.13), source, GREY)
            page.axes.text(x + 0.3, top + 0.155, label, **letters)
            x += 0.5 + 0.051 * len(label)
    parameters = list(model.parameters())
    count = sum(parameter.numel() for parameter in parameters)
    trained = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    note = f"Blocks: shape of the output · number of parameters ({count:,} in all, of which {trained:,} are trained)."
    page.axes.text(TEXT[0], top + 0.33, note, **letters)
    of_images = "" if model.fusion is None else ", R regions of the grid, K objects"
    page.axes.text(TEXT[0], top + 0.47, f"n words{of_images}.", **letters)
    return top + 0.57
