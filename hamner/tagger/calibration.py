"""Fitting a run's temperature, so that of the entities with score 0.8 about 80 % are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from hamner.corpora.post import Corpus
from hamner.corpora.tags import spans
from hamner.tagger.confidence import TEMPERATURES, calibrated
from hamner.tagger.tagger import Tagger, TaggerError
from hamner.training.identity import require_data_of
from hamner.training.inputs import images_of, open_store, posts_seen
from hamner.training.runs import CALIBRATION, Run, write_json
from hamner.vision.store import FEATURES

AT_ONCE = 64
"""Posts whose features are in memory together."""


def judged_entities(
    tagger: Tagger, corpus: Corpus, split: str = "valid", features: Path | str = FEATURES
) -> tuple[np.ndarray, np.ndarray]:
    """(confidence, whether it is right) of each entity that the tagger finds in `split`, both (entities,).

    Right means that gold has the same span and type (seqeval protocol). Images are seen as in training; their
    features are kept under `features`. Confidences are as the tagger gives them: `hamner.evaluation.reliability` draws
    the diagram from these.
    """
    posts = corpus[split]
    store = open_store(corpus, tagger.config, Path(features), str(tagger.device), progress=True)
    look = None
    if store is not None:
        posts_seen(posts, f"{corpus.name} {split}", store, None)
        look = images_of(posts, store, tagger.config)
    confidence: list[float] = []
    right: list[bool] = []
    for begin in range(0, len(posts), AT_ONCE):
        some = range(begin, min(begin + AT_ONCE, len(posts)))
        seen = None if look is None else [look(number) for number in some]
        tagged = tagger.many([posts[number].words for number in some], features=seen, evidence=False)
        for number, post in zip(some, tagged, strict=True):
            gold = {(span.type, span.start, span.end - 1) for span in spans(posts[number].tags or ())}
            confidence += [entity.score for entity in post.entities]
            right += [(entity.type, *entity.words) in gold for entity in post.entities]
    return np.array(confidence), np.array(right, dtype=bool)


def calibrate(run: Run, corpus: Corpus, device: str = "cpu", features: Path | str = FEATURES) -> float:
    """Fit the temperature on valid by maximum likelihood (Guo et al., ICML 2017) and leave it in the run's folder.

    Writes calibration.json, whole or not at all: the temperature, how many entities it was fitted on, and their mean
    negative log-likelihood before and after. Taggers made from the folder from then on use it. Test is not touched.

    Raises HamnerError when `corpus` or its images are not the run's, or no entity is found in valid.
    """
    if run.record["corpus"]["sha256"] != corpus.sha256:
        raise TaggerError(
            f"the run in {run.folder} was trained on {run.record['corpus']['name']}, not on this {corpus.name}: "
            "calibrate it on its own corpus"
        )
    require_data_of(run, corpus)
    tagger = Tagger(run, device)
    tagger.temperature = None
    confidence, right = judged_entities(tagger, corpus, features=features)
    if not len(confidence):
        raise TaggerError(f"the run in {run.folder} finds no entity in valid, so there is nothing to calibrate on")
    temperature = fit_temperature(confidence, right)
    record = {
        "temperature": temperature,
        "split": "valid",
        "entities": len(confidence),
        "correct": int(right.sum()),
        "negative_log_likelihood": {
            "before": negative_log_likelihood(confidence, right, 1.0),
            "after": negative_log_likelihood(confidence, right, temperature),
        },
    }
    write_json(record, run.folder / CALIBRATION)
    return temperature


def fit_temperature(confidence: ArrayLike, right: ArrayLike) -> float:
    """The temperature within TEMPERATURES of the least negative log-likelihood."""
    fitted = minimize_scalar(
        lambda log: negative_log_likelihood(confidence, right, np.exp(log)),
        bounds=np.log(TEMPERATURES),
        method="bounded",
    )
    return float(np.exp(fitted.x))


def negative_log_likelihood(confidence: ArrayLike, right: ArrayLike, temperature: float) -> float:
    """Mean of -log p(right or wrong) at this temperature."""
    p = calibrated(confidence, temperature)
    return float(-np.log(np.where(right, p, 1 - p)).mean())
