"""hamner in a spaCy pipeline: the component `hamner` sets the entities of a Doc.

    nlp = spacy.blank("en")
    nlp.add_pipe("hamner", config={"model": "data/models/minitweets-full"})
    doc = nlp("Kelso meets Orva")
    [(span.text, span.label_, span._.score) for span in doc.ents]

spaCy finds the component by the entry point `spacy_factories`. An image goes with a Doc as `doc._.image`:

    doc = nlp.make_doc("Kelso meets Orva")
    doc._.image = "photo.jpg"
    nlp(doc)
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from hamner.errors import HamnerError
from hamner.escape import one_line

if TYPE_CHECKING:
    from hamner.tagger.post import TaggedPost
    from hamner.tagger.tagger import Tagger

NAME = "hamner"


class LeftOutSpanWarning(UserWarning):
    """Two entities share a token of spaCy's, which can hold one: the shorter one is left out, and named."""


class Component:
    """Sets `doc.ents` to the entities of a tagger, and leaves all else of a Doc as it is.

    The tagger reads the raw text and splits it as its own corpus does. spaCy's tokens are others, so an entity is
    widened to whole tokens. `span._.score` is its probability, `doc._.relevance` that of the image (None without one).
    """

    def __init__(self, tagger: Tagger) -> None:
        self.tagger = tagger

    def __call__(self, doc: Doc) -> Doc:
        """Tag one Doc, in place."""
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], batch_size: int = 256) -> Iterator[Doc]:
        """Tag many, of which `batch_size` are in memory. A Doc without a word gets no entity."""
        docs = iter(stream)
        while some := list(islice(docs, batch_size)):
            words = [doc for doc in some if doc.text.strip()]
            images = [doc._.image for doc in words]
            posts = iter(self.tagger.many([doc.text for doc in words], images, evidence=False))
            for doc in some:
                if doc.text.strip():
                    _put(next(posts), doc)
                yield doc


def _put(post: TaggedPost, doc: Doc) -> None:
    """Put the entities of a post into its Doc."""
    found: list[Span] = []
    for entity in post.entities:
        span = doc.char_span(entity.start, entity.end, label=entity.type, alignment_mode="expand")
        span._.score = entity.score
        found.append(span)
    kept = filter_spans(found)  # spaCy's entities share no token
    for span in found:
        if span not in kept:
            warnings.warn(
                f"the entity {one_line(span.text)!r} ({span.label_}) is left out: it shares a token of spaCy's with "
                "a longer one",
                LeftOutSpanWarning,
                stacklevel=2,
            )
    doc.set_ents(kept)
    doc._.relevance = post.relevance


@Language.factory(NAME, default_config={"model": "", "device": "cpu"}, assigns=["doc.ents"])
def make_component(nlp: Language, name: str, model: str, device: str) -> Component:
    """The component of a pipeline: `model` is what `Tagger.from_pretrained` takes. Raises HamnerError without one."""
    if not model:
        raise HamnerError('which model? nlp.add_pipe("hamner", config={"model": "FOLDER OF A RUN"})')
    from hamner.tagger.tagger import Tagger  # here, because torch takes seconds to load

    for holder, extension in ((Doc, "image"), (Doc, "relevance"), (Span, "score")):
        if not holder.has_extension(extension):
            holder.set_extension(extension, default=None)
    return Component(Tagger.from_pretrained(model, device))
