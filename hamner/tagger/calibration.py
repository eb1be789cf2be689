"""Fit a run's temperature, so that of the entities with score 0.8 about 80 % are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from hamner.corpora.post import Corpus
from hamner.corpora.tags import spans
from hamner.tagger.confidence import FEWEST_ENTITIES, TEMPERATURES, calibrated
from hamner.tagger.tagger import Tagger, TaggerError
from hamner.training.identity import require_data_of
from hamner.training.inputs import KeptFeatures, images_of, open_store, posts_seen
from hamner.training.runs import CALIBRATION, Run, write_json
from hamner.vision.store import FEATURES

AT_ONCE = 64
"""Posts whose features are in memory together."""


def judged_entities(
    tagger: Tagger, corpus: Corpus, split: str = "valid", features: Path | str = FEATURES
) -> tuple[np.ndarray, np.ndarray]:
    """(confidence, correctness) of each entity that the tagger predicts in `split`, both of shape (entities,).

    An entity is correct when gold has the same span and type (seqeval protocol). Images are seen as in training; their
    features are kept under `features`. Confidences have the tagger's own temperature: `hamner.evaluation.reliability`
    draws the diagram from these.
    """
    posts = corpus[split]
    store = open_store(corpus, tagger.config, Path(features), str(tagger.device), progress=True)
    features_of = None
    if store is not None:
        posts_seen(posts, f"{corpus.name} {split}", store, None, allow_missing=1.0)
        features_of = images_of(posts, KeptFeatures(store, limit=0), tagger.config, train=split == "train")
    confidence: list[float] = []
    correct: list[bool] = []
    for begin in range(0, len(posts), AT_ONCE):
        numbers = range(begin, min(begin + AT_ONCE, len(posts)))
        given = None if features_of is None else [features_of(number) for number in numbers]
        tagged = tagger.many([posts[number].words for number in numbers], features=given, evidence=False)
        for number, post in zip(numbers, tagged, strict=True):
            gold = {(span.type, span.start, span.end - 1) for span in spans(posts[number].tags or ())}
            confidence += [entity.score for entity in post.entities]
            correct += [(entity.type, *entity.words) in gold for entity in post.entities]
    return np.array(confidence), np.array(correct, dtype=bool)


def calibrate(run: Run, corpus: Corpus, device: str = "cpu", features: Path | str = FEATURES) -> float:
    """Fit the temperature on valid by maximum likelihood (Guo et al., ICML 2017) and write it to the run's folder.

    Writes calibration.json, whole or not at all: the temperature, the number of entities that it was fitted on, and
    their mean negative log-likelihood before and after. Later taggers of this folder apply it. Test is not read.

    Raises HamnerError, and writes nothing, when `corpus` or its images are not the run's, when valid has fewer than
    FEWEST_ENTITIES predicted entities, or when no temperature within TEMPERATURES is the best.
    """
    if run.record["corpus"]["sha256"] != corpus.sha256:
        raise TaggerError(
            f"the run in {run.folder} was trained on {run.record['corpus']['name']}, not on this {corpus.name}: "
            "calibrate it on its own corpus"
        )
    require_data_of(run, corpus)
    tagger = Tagger(run, device)
    tagger.temperature = None
    confidence, correct = judged_entities(tagger, corpus, features=features)
    temperature = fit_temperature(confidence, correct)
    record = {
        "temperature": temperature,
        "split": "valid",
        "entities": len(confidence),
        "correct": int(correct.sum()),
        "negative_log_likelihood": {
            "before": negative_log_likelihood(confidence, correct, 1.0),
            "after": negative_log_likelihood(confidence, correct, temperature),
        },
    }
    write_json(record, run.folder / CALIBRATION)
    return temperature


def fit_temperature(confidence: ArrayLike, correct: ArrayLike) -> float:
    """The temperature within TEMPERATURES that minimises the negative log-likelihood.

    Raises TaggerError for fewer than FEWEST_ENTITIES entities, for confidences that are no probabilities, and for a
    minimum at an end of the range: there the data ask for scores of 0, 0.5 or 1 and not for a temperature.
    """
    confidence, correct = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=bool)
    if len(confidence) < FEWEST_ENTITIES:
        raise TaggerError(
            f"not calibrated: the run predicts {len(confidence)} entities in valid, and a temperature needs at least "
            f"{FEWEST_ENTITIES}; train longer, or on a corpus with a larger valid split"
        )
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise TaggerError("not calibrated: some scores are not from 0 to 1, as after damaged weights; train again")
    fitted = minimize_scalar(
        lambda log: negative_log_likelihood(confidence, correct, np.exp(log)),
        bounds=np.log(TEMPERATURES),
        method="bounded",
    )
    with np.errstate(divide="ignore"):  # at an end, a score of 1 for a wrong entity has likelihood 0
        at_ends = {end: negative_log_likelihood(confidence, correct, end) for end in TEMPERATURES}
    best = min(TEMPERATURES, key=at_ends.__getitem__)
    if at_ends[best] <= fitted.fun:
        raise TaggerError(
            f"not calibrated: {correct.sum()} of {len(correct)} entities in valid are right, and the fit ends at "
            f"{best:.2f}, an end of the range {TEMPERATURES[0]} to {TEMPERATURES[1]}: scores this far from "
            "the share of right entities have no temperature; train longer, or on more posts"
        )
    return float(np.exp(fitted.x))


def negative_log_likelihood(confidence: ArrayLike, correct: ArrayLike, temperature: float) -> float:
    """Mean of -log p(correct) over correct entities and -log (1 - p) over the others, in nats."""
    p = calibrated(confidence, temperature)
    return float(-np.log(np.where(correct, p, 1 - p)).mean())
