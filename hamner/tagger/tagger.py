"""The tagger: takes words and an image, returns entities with scores and visual evidence."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from PIL import Image

from hamner.corpora.post import Post
from hamner.corpora.tags import Span, spans
from hamner.corpora.words import has_half_surrogate
from hamner.devices import autocast_of, existing_device
from hamner.errors import HamnerError
from hamner.files import read_text
from hamner.images import ImageInput, load_image
from hamner.model.batch import Batch
from hamner.model.intra_modality import GRAINS
from hamner.models import model_folder
from hamner.tagger.confidence import FEWEST_ENTITIES, TEMPERATURES, calibrated, span_probabilities
from hamner.tagger.evidence import Evidence, evidence_of
from hamner.tagger.post import Entity, TaggedPost
from hamner.tagger.words import split_words
from hamner.training.batching import prepare
from hamner.training.lexicons import tokenizer_of
from hamner.training.loop import trained_model
from hamner.training.runs import CALIBRATION, Run
from hamner.vision.features import ANNOTATIONS, VisualFeatures
from hamner.vision.sources import ImageSource, is_own_source, is_vectors, load_source

if TYPE_CHECKING:
    import pandas as pd

    from hamner.vision.extractor import ImageExtractor
    from hamner.vision.objects import ImageObject

BATCH = 16
MOST_POSTS = 4096
"""Upper bound on the batch size, to catch typing errors."""

CONTROLLED = {
    "exchanged": "a fifth of its training images were exchanged",
    "shuffled": "it was trained on images of other posts",
    "blank": "it was trained on blank images",
}
"""The setting `images` of a control -> what is said of it beside its tags."""

BLANKS = frozenset(" \t\n\r\f\v")
"""White space that no word of a corpus holds."""

Text = str | Sequence[str]
"""A post: its raw text, or its words."""


class TaggerError(HamnerError):
    """The run cannot tag, or cannot tag this post."""


@dataclass(frozen=True)
class _Asked:
    """One post to be tagged, in the form that the model takes."""

    text: str
    words: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    features: VisualFeatures | None
    names: tuple[str, ...]  # of the objects
    image: ImageInput | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Read:
    """The model's output for one window."""

    tags: list[str]
    entities: list[tuple[Span, float, Evidence | None]]
    relevance: float | None
    integration: list[float] | None


class Tagger:
    """Tags posts with a finished run.

        tagger = Tagger.from_pretrained("tweets")  # comes along; or the folder of a run
        post = tagger("Kelso (left) meets Orva", image="photo.jpg")
        post = tagger(words=["Kelso", "(left)", "meets", "Orva"], image="photo.jpg")
        posts = tagger(["Kelso meets Orva", "Orva left"])           # a list of texts: a batch
        for post in tagger(line for line in open("posts.txt")): ...  # a generator: one batch at a time

    The same post always gets the same tags and scores. `extractor` turns images into features; by default it is made
    from the run's visual source with the first image.
    """

    def __init__(self, run: Run, device: str = "cpu", extractor: ImageExtractor | None = None) -> None:
        if not isinstance(run, Run):
            raise TaggerError(f"a tagger is made from a run, not from {run!r}: use Tagger.from_pretrained(NAME)")
        self.run = run
        self.config = run.config
        self.device = existing_device(device)
        if not run.weights.exists():
            raise TaggerError(
                f"{run.folder} holds a run's record without its weights ({run.weights.name}): "
                "train it into another folder, hamner train ... --run DIR"
            )
        if self.config.appended:
            raise TaggerError(
                f"{run.folder} is a control of the study that read a caption after each post: train another row to tag"
            )
        self.model = trained_model(run, self.device)
        self.tokenizer = tokenizer_of(run)
        self.temperature = read_temperature(run.folder)
        self.apart = tuple(run.record["marks_apart"])
        self._extractor = extractor
        self._source: ImageSource | None = None
        self._annotations: dict[tuple[Path, int], dict[str, list[ImageObject]]] = {}

    @classmethod
    def from_pretrained(cls, name: Path | str, device: str = "cpu", revision: str | None = None) -> Tagger:
        """The tagger of a model by its name, or the one that `hamner train` left in a run's folder.

        Args:
            name: `tweets`, `tweets-mpnet` or `minitweets`, which come along; the folder of a finished run; or
                OWNER/NAME on the hub, whose record and weights are fetched (`hamner.models`). No code comes with it.
            device: cpu, or a GPU such as cuda.
            revision: a commit of the model on the hub; None for the newest.

        Raises HamnerError when no model has this name, there is no finished run with its weights, or no such device.
        """
        return cls(Run.load(model_folder(name, revision)), device)

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a Sequence too, and taken for one text
        self, text: str, image: ImageInput | None = ..., *, features: VisualFeatures | None = ...
    ) -> TaggedPost: ...
    @overload
    def __call__(
        self, *, words: Sequence[str], image: ImageInput | None = ..., features: VisualFeatures | None = ...
    ) -> TaggedPost: ...
    @overload
    def __call__(
        self, text: Sequence[Text], image: Sequence[ImageInput | None] | None = ..., *, batch_size: int = ...
    ) -> list[TaggedPost]: ...
    @overload
    def __call__(self, text: Iterator[Text], *, batch_size: int = ...) -> Iterator[TaggedPost]: ...

    def __call__(
        self,
        text: Any = None,
        image: Any = None,
        *,
        words: Sequence[str] | None = None,
        features: VisualFeatures | None = None,
        batch_size: int = BATCH,
    ) -> TaggedPost | list[TaggedPost] | Iterator[TaggedPost]:
        """Tag a post, or a batch of posts.

        Args:
            text: a raw text; or a list of texts, a batch, to a list of tagged posts (`many`); or an iterator of texts,
                to an iterator of tagged posts.
            image: the post's image as a file, a PIL image, or None; for a list of texts a list of as many.
            words: the words of one post, in place of its text.
            features: features of the run's own visual source (`FeatureStore`) in place of those of the image, which is
                then only drawn: a post of a corpus is tagged with its annotated objects, or with its caption, in this
                way. For one post; `many` takes a list of them.
            batch_size: posts that are read together.

        Raises HamnerError when there are no words, or an image cannot be opened or encoded.
        """
        if (text is None) == (words is None):
            raise TaggerError("give a text, a list of texts, or the words of one post as words=[...]")
        require_batch_size(batch_size)
        if isinstance(words, str):
            raise TaggerError("words are a list, words=[...]; give a text as it is, tagger(text)")
        if words is not None or isinstance(text, str):
            return self.many([words if words is not None else text], [image], features=[features])[0]
        if features is not None:
            raise TaggerError("features are of one post: for several, tagger.many(texts, features=[...])")
        if isinstance(text, Iterator):
            if image is not None:
                raise TaggerError("an iterator of texts has no images: give lists of texts and of images")
            return self._one_by_one(text, batch_size)
        return self.many(text, image, batch_size=batch_size)

    def _one_by_one(self, texts: Iterator[Text], batch_size: int) -> Iterator[TaggedPost]:
        begin = 0
        while some := list(islice(texts, batch_size)):
            names = [f"text {number}" for number in range(begin, begin + len(some))]
            yield from self.many(some, batch_size=batch_size, names=names)
            begin += len(some)

    def many(
        self,
        texts: Sequence[Text],
        images: Sequence[ImageInput | None] | None = None,
        *,
        features: Sequence[VisualFeatures | None] | None = None,
        evidence: bool = True,
        batch_size: int = BATCH,
        names: Sequence[str] | None = None,
    ) -> list[TaggedPost]:
        """Tag several posts, each a raw text or a list of its words, `batch_size` at a time.

        Without `evidence` no occlusion is computed, which is faster. `names` stand before the errors of the posts; by
        default `text 0`, `text 1` ..., where there are several.
        """
        if isinstance(texts, str) or not isinstance(texts, Sequence):
            raise TaggerError(f"several posts are a list of texts, not {type(texts).__name__}: for one, tagger(text)")
        if isinstance(images, str) or not isinstance(images, Sequence | None):
            raise TaggerError("the images of several posts are a list, one or None for each text")
        if not isinstance(features, Sequence | None):
            raise TaggerError("the features of several posts are a list, one or None for each text")
        require_batch_size(batch_size)
        images = [None] * len(texts) if images is None else images
        given = [None] * len(texts) if features is None else features
        if not len(texts) == len(images) == len(given):
            raise TaggerError(
                f"{len(texts)} texts with {len(images)} images and {len(given)} features: give every text one of each"
            )
        tagged: list[TaggedPost] = []
        for begin in range(0, len(texts), batch_size):
            some = slice(begin, begin + batch_size)
            asked = []
            for number, one in enumerate(zip(texts[some], images[some], given[some], strict=True), start=begin):
                try:
                    asked.append(self._asked(*one))
                except HamnerError as error:
                    if names is None and len(texts) == 1:
                        raise
                    raise type(error)(f"{names[number] if names else f'text {number}'}: {error}") from error
            tagged += self._tag(asked, evidence, batch_size)
        return tagged

    def frame(
        self, table: pd.DataFrame, text: str = "text", image: str | None = None, *, batch_size: int = BATCH
    ) -> pd.DataFrame:
        """The entities of the posts in a table, a line for each.

        `table.join(found, rsuffix="_found")` puts them beside their posts.

        Args:
            table: a row for each post.
            text: the column of the raw texts.
            image: the column of the images (files or PIL images); a missing value or "" is a post without one.
            batch_size: posts that are read together.

        Returns:
            entity, type, score, start, end (in characters), relevance; the index is that of the posts. A post without
            an entity has no line.

        Raises HamnerError for a column that is not there, a text that is none, or an image that cannot be opened.
        """
        import pandas as pd  # here, because tagging needs no pandas

        if not isinstance(table, pd.DataFrame):
            raise TaggerError(f"a table is a pandas DataFrame, not {type(table).__name__}: for a list, tagger(texts)")
        for column in (text, *([] if image is None else [image])):
            if (count := list(table.columns).count(column)) != 1:
                remedy = f"it has {', '.join(map(repr, table.columns))}" if not count else "rename all but one"
                raise TaggerError(f"the table has {f'{count} columns' if count else 'no column'} {column!r}; {remedy}")
        if not table.index.is_unique:
            raise TaggerError("the table's index names some posts twice: give it with table.reset_index(drop=True)")
        for index, value in table[text].items():
            if not isinstance(value, str):
                raise TaggerError(f"row {index!r}: {text} is {value!r}, no text: leave the row out, or fill it")
        images = None if image is None else [one if _is_given(one) else None for one in table[image]]
        names = [f"row {index!r}" for index in table.index]
        posts = self.many(list(table[text]), images, evidence=False, batch_size=batch_size, names=names)
        columns = ["entity", "type", "score", "start", "end", "relevance"]
        rows, lines = [], []
        for row, post in enumerate(posts):
            rows += [row] * len(post.entities)
            lines += [(one.text, one.type, one.score, one.start, one.end, post.relevance) for one in post.entities]
        return pd.DataFrame(lines, columns=columns, index=table.index[rows])

    def save_pretrained(self, folder: Path | str) -> Path:
        """Write the tagger into a folder, with a model card (`hamner.tagger.sharing.save_pretrained`)."""
        from hamner.tagger.sharing import save_pretrained

        return save_pretrained(self.run, folder)

    def push_to_hub(self, name: str, private: bool = False) -> str:
        """Upload the tagger to the Hugging Face hub as `name`, such as me/tweets; returns its address.

        Needs a login. See `hamner.tagger.sharing.push_to_hub` for the errors.
        """
        from hamner.tagger.sharing import push_to_hub

        return push_to_hub(self.run, name, private)

    def _asked(self, text: Text, image: ImageInput | None, features: VisualFeatures | None) -> _Asked:
        notes: list[str] = []
        names: tuple[str, ...] = ()
        if features is not None and self.config.visual is not None:
            self._require_own_kind(features)
        pixels = None if image is None or features is not None else load_image(image)
        if self.config.images != "own":
            notes.append(f"the run is a control: {CONTROLLED[self.config.images]}")
        if self.config.visual is None:
            if image is not None or features is not None:
                notes.append("the run is text-only: it reads no image")
            features = None
        elif pixels is not None:
            features, names, note = self._features_of_image(pixels, image)
            notes += note
        elif features is None or not features.image_present:
            features = None
            notes.append("no image: the words alone were read")
        if features is not None:
            names = names or ("",) * len(features.objects)
            if self.config.model.fusion == "ham" and not self.config.model.relevance:
                notes.append("the run does not judge relevance: it is 1 wherever there is an image")
        return _Asked(*_words(text, self.apart), features, names, image, tuple(notes))

    def _require_own_kind(self, features: VisualFeatures) -> None:
        """Raise TaggerError for features that are not of the kind that the run was trained on."""
        if not isinstance(features, VisualFeatures):
            raise TaggerError(f"features are VisualFeatures, as a FeatureStore has them, not {features!r}")
        channels, classes = self.run.shape["channels"], self.run.shape["classes"]
        wrong = None
        if {features.grid.shape[-1], features.objects.shape[-1]} != {channels}:
            wrong = f"have {features.grid.shape[-1]} channels and the run was trained on {channels}"
        elif fault := features.fault(classes):
            wrong = f"hold {fault}"
        if wrong:
            raise TaggerError(f"the features {wrong}: compute them with its source, {self.config.visual}")

    def _features_of_image(
        self, image: Image.Image, given: ImageInput | None
    ) -> tuple[VisualFeatures, tuple[str, ...], list[str]]:
        """The features of a user's image, the names of its objects, and the notes about them."""
        assert self.config.visual is not None
        if self.config.visual.backbone == "captions":
            raise TaggerError(
                f"the run in {self.run.folder} was trained on captions and cannot read an image: tag without one, "
                "or with a run that was trained on images"
            )
        if is_vectors(self.config.visual.backbone):
            raise TaggerError(
                f"the run in {self.run.folder} was trained on vectors from {self.config.visual.backbone} and cannot "
                "read an image: give features=, or use a run that was trained on images"
            )
        if is_own_source(self.config.visual.backbone):
            if self._source is None:
                self._source = load_source(self.config.visual, Path())
            features = self._source.describe(image)
            known = self._source.class_names
            return features, tuple(known[id] if id else "" for id in features.classes), []
        annotated = self.config.visual.objects == "annotations"
        if self._extractor is None:
            from hamner.vision.extractor import ImageExtractor  # imported here: it loads torchvision

            source = replace(self.config.visual, objects="tiles") if annotated else self.config.visual
            self._extractor = ImageExtractor.load(source, Path(), str(self.device))
        listed, notes = self._annotated(given) if annotated else (None, [])
        if listed is not None:
            from hamner.vision.objects import Objects

            known = self.run.record["features"]["class_names"]
            features = self._extractor.encode(image, Objects.of(listed, known, self.config.visual.max_objects))
            return features, tuple(known[id] if id else "" for id in features.classes), notes
        objects = self._extractor.finder.find(Path(), image)
        features = self._extractor.encode(image, objects)
        names = tuple(self._extractor.class_names[id] if id else "" for id in features.classes)
        if not annotated:
            return features, names, []
        # Class 1 is a tile here, but the first of the annotated classes to the model.
        unknown = replace(features, classes=np.zeros_like(features.classes))
        note = (
            "objects are five fixed tiles of unknown class: the run was trained on objects with class names, and "
            f"no {ANNOTATIONS} beside this image names any"
        )
        return unknown, names, [*notes, note]

    def _annotated(self, image: ImageInput | None) -> tuple[list[ImageObject] | None, list[str]]:
        """The objects that annotations.jsonl lists for the image, and notes about that; None where it lists none.

        The file stands beside the image, or beside the folder `images` that holds it, as in a corpus.
        """
        if not isinstance(image, str | Path):
            return None, []
        from hamner.vision.objects import AnnotationError, read_annotations  # loads torchvision

        folder = Path(os.path.abspath(image)).parent
        for file in (folder / ANNOTATIONS, *([folder.parent / ANNOTATIONS] if folder.name == "images" else [])):
            if not os.path.isfile(file):
                continue
            key = file, os.stat(file).st_mtime_ns
            try:
                if key not in self._annotations:
                    self._annotations[key] = read_annotations(file)
            except AnnotationError as error:
                return None, [f"{ANNOTATIONS} beside the image was left aside: {error}"]
            if (objects := self._annotations[key].get(Path(image).name)) is not None:
                known = set(self.run.record["features"]["class_names"])
                unknown = sorted({item.name for item in objects} - known)
                strange = f"; the run does not know the classes {', '.join(unknown)}" if unknown else ""
                return objects, [f"objects are those of {file}{strange}"]
        return None, []

    @torch.no_grad()
    def _tag(self, asked: Sequence[_Asked], evidence: bool, batch_size: int) -> list[TaggedPost]:
        posts = [Post(str(number), one.words) for number, one in enumerate(asked)]
        split = prepare(posts, self.model, self.tokenizer, _features_of(asked))
        read: list[list[_Read]] = [[] for _ in asked]
        for begin in range(0, len(split), batch_size):
            numbers = range(begin, min(begin + batch_size, len(split)))
            of_post = [split.windows[number].post for number in numbers]
            names = [asked[post].names if evidence else None for post in of_post]
            with autocast_of(self.config.precision, self.device):
                parts = self._read(split.batch(numbers).to(self.device), names)
            for post, part in zip(of_post, parts, strict=True):
                read[post].append(part)
        return [self._together(one, parts) for one, parts in zip(asked, read, strict=True)]

    def _read(self, batch: Batch, names: Sequence[Sequence[str] | None]) -> list[_Read]:
        """Tag the rows of a batch; rows without `names` get no evidence."""
        batch = self.model.text.once(batch)
        output = self.model(batch, keep_attention=True)
        decoder = self.model.decoder
        tags = [[decoder.tags[k] for k in path] for path in decoder.decode(output.emissions, output.word_mask)]
        predicted = [spans(row) for row in tags]
        asked = [(row, span) for row, of_row in enumerate(predicted) for span in of_row]
        scores = span_probabilities(decoder, output.emissions.float(), output.word_mask, asked).cpu().numpy()
        if self.temperature is not None:
            scores = calibrated(scores, self.temperature)
        score = iter(scores.tolist())
        parts = []
        for row, of_row in enumerate(predicted):
            has_image = batch.images is not None and bool(batch.images.image_mask[row])
            evidence: Sequence[Evidence | None] = [None] * len(of_row)
            of_objects = names[row]
            weights = output.attention_weights
            if has_image and of_row and of_objects is not None and weights is not None and weights.of_words:
                evidence = evidence_of(self.model, batch, weights, row, of_row, of_objects, self.temperature)
            entities = [(span, next(score), of_span) for span, of_span in zip(of_row, evidence, strict=True)]
            relevance, integration = None, None
            if has_image and output.relevance is not None:
                relevance = output.relevance[row].item()
            if has_image and output.integration is not None:
                integration = output.integration[row].tolist()
            parts.append(_Read(tags[row], entities, relevance, integration))
        return parts

    def _together(self, asked: _Asked, parts: Sequence[_Read]) -> TaggedPost:
        """Join a post's windows; relevance and beta are those of the window with the greatest relevance."""
        tags = [tag for part in parts for tag in part.tags]
        notes = asked.notes
        if len(parts) > 1:
            notes += (f"the post is longer than the text encoder takes at once: it was read in {len(parts)} windows",)
        entities, begin = [], 0
        for part in parts:
            for span, score, evidence in part.entities:
                first, last = begin + span.start, begin + span.end - 1
                start, end = asked.offsets[first][0], asked.offsets[last][1]
                entities.append(Entity(asked.text[start:end], span.type, start, end, score, (first, last), evidence))
            begin += len(part.tags)
        judged = [(part.relevance, part.integration) for part in parts if part.relevance is not None]
        relevance, beta = max(judged, key=lambda one: one[0], default=(None, None))
        integration = None if beta is None else dict(zip(GRAINS, beta, strict=True))
        return TaggedPost(
            text=asked.text,
            words=asked.words,
            offsets=asked.offsets,
            tags=tuple(tags),
            entities=tuple(entities),
            relevance=relevance,
            integration=integration,
            calibrated=self.temperature is not None,
            notes=notes,
            image=asked.image,
            types=self.run.types,
        )


def _is_given(image: Any) -> bool:
    """Whether a cell of a table holds an image: None, NaN and "" hold none."""
    import pandas as pd

    missing = pd.isna(image) if pd.api.types.is_scalar(image) else False
    return not missing and not (isinstance(image, str) and image == "")


def require_batch_size(size: int) -> None:
    """Raise TaggerError unless a batch can have this size."""
    if type(size) is not int or not 1 <= size <= MOST_POSTS:
        raise TaggerError(f"batch_size must be a whole number from 1 to {MOST_POSTS:,}, not {size!r}")


def read_temperature(folder: Path) -> float | None:
    """The temperature that `calibrate` wrote into a run's folder, None if it wrote none.

    Raises TaggerError for a file that `calibrate` would not have written.
    """
    path = folder / CALIBRATION
    if not path.exists():
        return None
    remedy = "delete it, or run hamner calibrate again"
    try:
        if not path.is_file():
            raise OSError("not a file")
        record = json.loads(read_text(path))
        temperature, entities = record["temperature"], record.get("entities", FEWEST_ENTITIES)
    except (HamnerError, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise TaggerError(f"{path} cannot be read ({error!r}): {remedy}") from error
    least, greatest = TEMPERATURES
    if type(temperature) not in (int, float) or not least < temperature < greatest:
        raise TaggerError(f"{path}: a temperature lies between {least} and {greatest}, not {temperature!r}: {remedy}")
    if type(entities) is not int or entities < FEWEST_ENTITIES:
        raise TaggerError(f"{path}: a temperature needs {FEWEST_ENTITIES} entities or more, not {entities!r}: {remedy}")
    return float(temperature)


def _words(text: Text, apart: Sequence[str]) -> tuple[str, tuple[str, ...], tuple[tuple[int, int], ...]]:
    """The text, its words and their offsets; a raw text is split with the marks `apart` as words of their own."""
    if isinstance(text, str):
        offsets = split_words(text, apart)
    elif not isinstance(text, Sequence):
        raise TaggerError(f"a post is a text or a list of words, not {text!r}")
    else:
        empty = [number for number, word in enumerate(text) if not isinstance(word, str) or not word]
        if empty:
            raise TaggerError(f"word {empty[0]} is {text[empty[0]]!r}: each word must be a string of some characters")
        if blanks := [number for number, word in enumerate(text) if not BLANKS.isdisjoint(word)]:
            raise TaggerError(
                f"word {blanks[0]} is {text[blanks[0]]!r}, which holds a blank: a word has none. Several texts are a "
                "batch, tagger([text, text]); a list inside that list is the words of one post"
            )
        ends = np.cumsum([len(word) + 1 for word in text]).tolist()
        offsets = [(end - 1 - len(word), end - 1) for word, end in zip(text, ends, strict=True)]
        text = " ".join(text)
    if has_half_surrogate(text):
        raise TaggerError("the text holds half a surrogate pair, which is no character: give it as UTF-8")
    if not offsets:
        raise TaggerError("there are no words to tag: give a text or a list of words")
    return text, tuple(text[start:end] for start, end in offsets), tuple(offsets)


def _features_of(asked: Sequence[_Asked]) -> Callable[[int], VisualFeatures] | None:
    """The visual features of post number i, all masked where it has none; None if no post has any."""
    present = next((one.features for one in asked if one.features is not None), None)
    if present is None:
        return None
    regions, channels = present.grid.shape
    absent = VisualFeatures.absent(regions, channels, len(present.objects))
    return lambda number: asked[number].features or absent
