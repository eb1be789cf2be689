from __future__ import annotations

import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from hamner.errors import HamnerError

ROOT = Path(__file__).resolve().parents[2]


def test_spacy_finds_the_component_by_its_entry_point():
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["spacy_factories"]
    assert points == {"hamner": "hamner.tagger.spacy:make_component"}
    assert "def make_component(" in (ROOT / "hamner" / "tagger" / "spacy.py").read_text()


@pytest.fixture(scope="module")
def spacy():
    return pytest.importorskip("spacy", reason="spaCy is not installed (an extra: hamner[spacy])")


@pytest.fixture(scope="module")
def component(spacy):
    import hamner.tagger.spacy as module

    return module


@pytest.fixture(scope="module")
def run(make_run):
    return make_run()


@pytest.fixture
def nlp(spacy, component, run):
    nlp = spacy.blank("en")
    nlp.add_pipe("hamner", config={"model": str(run.folder)})
    return nlp


def test_a_doc_gets_the_entities_of_the_tagger(nlp):
    tagger = nlp.get_pipe("hamner").tagger
    text = "Kelso meets Orva Berg , and it rains"
    post, doc = tagger(text), nlp(text)
    assert post.entities
    assert [(span.text, span.label_, span._.score) for span in doc.ents] == [
        (entity.text, entity.type, pytest.approx(entity.score)) for entity in post.entities
    ]
    assert doc._.relevance is None
    assert list(nlp("  ").ents) == []


def test_many_docs_are_those_of_one_after_the_other(nlp):
    texts = ["Kelso meets Orva", "", "Orva left Berg ."] * 3
    many = [[(span.text, span.label_) for span in doc.ents] for doc in nlp.pipe(texts, batch_size=2)]
    assert many == [[(span.text, span.label_) for span in nlp(text).ents] for text in texts]
    assert many[0]


def test_an_image_goes_with_its_doc(nlp, extractor, photo):
    nlp.get_pipe("hamner").tagger._extractor = extractor
    doc = nlp.make_doc("Kelso meets Orva")
    doc._.image = str(photo)
    assert nlp(doc)._.relevance == pytest.approx(nlp.get_pipe("hamner").tagger("Kelso meets Orva", photo).relevance)
    assert 0 < doc._.relevance < 1


def test_an_entity_is_widened_to_whole_tokens_and_one_that_finds_none_is_named(nlp, component):
    doc = nlp.make_doc("Kelso-Orva left")
    doc = component.Doc(doc.vocab, words=["Kelso-Orva", "left"])
    found = [
        SimpleNamespace(start=0, end=5, type="PER", score=0.9),
        SimpleNamespace(start=6, end=10, type="LOC", score=0.8),
    ]
    with pytest.warns(component.LeftOutSpanWarning, match=r"'Kelso-Orva' \(LOC\) is left out"):
        component._put(SimpleNamespace(entities=found, relevance=0.5), doc)
    assert [(span.text, span.label_) for span in doc.ents] == [("Kelso-Orva", "PER")]


def test_a_component_without_a_model_asks_for_one(spacy, component):
    with pytest.raises(HamnerError, match=r'which model\? nlp.add_pipe\("hamner", config='):
        spacy.blank("en").add_pipe("hamner")
