"""A tagged post: its words, its entities, and the relevance of its image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hamner.corpora.tags import TYPES
from hamner.drawing.colours import colours_of
from hamner.images import ImageInput
from hamner.tagger.evidence import Evidence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Entity:
    """A predicted entity.

    `text` is the post's text from character `start` to `end` (exclusive); `words` are the numbers of its first and its
    last word. `score` is the probability that exactly this span is an entity of this type (`span_probabilities`),
    calibrated if the post's `calibrated` is true.
    """

    text: str
    type: str
    start: int
    end: int
    score: float
    words: tuple[int, int]
    evidence: Evidence | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the keys of transformers' token-classification pipeline (with an aggregation strategy)."""
        return {
            "entity_group": self.type,
            "score": self.score,
            "word": self.text,
            "start": self.start,
            "end": self.end,
        }


@dataclass(frozen=True)
class TaggedPost:
    """A post with its tags.

    `text` is the raw text, or the words joined by a space; word i is `text[offsets[i][0]:offsets[i][1]]`. `relevance`
    (rho) is the weight of the image, from 0 to 1, and `integration` (beta) the share of each granularity level. Both
    are None if the model saw no image; `notes` say why. For a post read in several windows, both come from the window
    with the greatest relevance. `types` are all entity types of the run.
    """

    text: str
    words: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    tags: tuple[str, ...]
    entities: tuple[Entity, ...]
    relevance: float | None
    integration: dict[str, float] | None
    calibrated: bool
    notes: tuple[str, ...] = ()
    image: ImageInput | None = field(default=None, repr=False, compare=False)
    types: tuple[str, ...] = field(default=TYPES, repr=False, compare=False)

    @property
    def colours(self) -> dict[str, str]:
        """Type -> its colour in figures and pages, for all types of the run."""
        return colours_of(self.types)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `entities` as from `Entity.to_dict`, `evidence` in the same order.

        spaCy draws it: `displacy.render(post.to_dict(), style="ent", manual=True)` reads `text`, `ents` and `title`;
        `options={"colors": post.colours}` gives it hamner's colours.
        """
        return {
            "text": self.text,
            "title": None,
            "ents": [{"start": one.start, "end": one.end, "label": one.type} for one in self.entities],
            "words": list(self.words),
            "tags": list(self.tags),
            "entities": [entity.to_dict() for entity in self.entities],
            "evidence": [None if one.evidence is None else one.evidence.to_dict() for one in self.entities],
            "relevance": self.relevance,
            "integration": self.integration,
            "calibrated": self.calibrated,
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        """The words with their entities and the image, as a notebook shows the last value of a cell."""
        from hamner.tagger.html import html_of

        return html_of(self)

    def show(self) -> Figure:
        """Draw the words with their entities, and the image with its boxes and each entity's attention.

        A notebook shows the figure as the last value of a cell.
        """
        from hamner.tagger.figure import tagged_post  # here, because tagging needs no matplotlib

        return tagged_post(self)
