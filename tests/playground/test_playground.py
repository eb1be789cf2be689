from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageChops

from hamner.errors import HamnerError
from hamner.figures.attention_maps import before_and_after
from hamner.playground import NONE, OWN, Controls, Playground, Said, State, controls, differences, looks, moving

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def play() -> Playground:
    return Playground()


@pytest.fixture(scope="module")
def post(play: Playground) -> str:
    """The first post of two names that are told apart by the places of their objects."""
    return play.by_cue["position"][0].id


@pytest.fixture(scope="module")
def before(play: Playground, post: str) -> Said:
    return play.say(State(post))


@pytest.fixture
def panel(play: Playground, monkeypatch: pytest.MonkeyPatch) -> Controls:
    """A panel that does not draw: a picture takes half a second."""
    monkeypatch.setattr(controls, "_html", lambda before, now, word: f"{now.tags} {now.rho} {word}")
    return Controls(play)


def draw(before: Said, after: Said, word: int) -> Figure:
    return before_and_after(*looks(before, after, word))


def same(one: Said, other: Said, within: float = 0.0) -> bool:
    """Whether two answers are the same to the bit, or `within` a distance."""
    return bool(np.abs(one.marginals - other.marginals).max() <= within)


@pytest.mark.parametrize("cue", ["position", "unrelated"])
def test_a_post_as_judged_gets_what_the_tagger_says(play: Playground, cue: str) -> None:
    post = play.by_cue[cue][0]
    said, tagged = play.say(State(post.id)), play.tagger(words=post.words, image=post.image)
    assert said.tags == tagged.tags
    assert said.rho == pytest.approx(tagged.relevance, abs=1e-6)
    assert said.beta == pytest.approx(list((tagged.integration or {}).values()), abs=1e-6)
    entity = tagged.entities[0]
    assert entity.evidence is not None and entity.evidence.grid_attention is not None
    words = slice(entity.words[0], entity.words[1] + 1)
    looked = [item.attention for item in entity.evidence.objects]
    assert said.on_objects[words].mean(0) == pytest.approx(np.array(looked), abs=1e-4)
    assert said.on_grid[words].mean(0) == pytest.approx(entity.evidence.grid_attention, abs=1e-4)
    assert np.allclose([item.box for item in entity.evidence.objects], [thing.box for thing in said.things])


def test_without_an_image_the_tags_are_those_that_the_tagger_gives_to_the_words_alone(
    play: Playground, post: str, before: Said
) -> None:
    said, tagged = play.say(State(post, image=NONE)), play.tagger(words=before.post.words)
    assert said.tags == tagged.tags and said.rho is None and said.beta is None and said.things == ()
    assert not same(said, before, within=0.1)


def test_rho_0_makes_the_tags_those_without_an_image(play: Playground, post: str) -> None:
    nothing, alone = play.say(State(post, rho=0.0)), play.say(State(post, image=NONE))
    assert nothing.rho == 0 and nothing.tags == alone.tags
    assert same(nothing, alone, within=1e-5)


def test_rho_set_to_what_was_judged_changes_nothing(play: Playground, post: str, before: Said) -> None:
    assert same(play.say(State(post, rho=before.rho)), before, within=1e-5)
    assert not same(play.say(State(post, rho=0.3)), before, within=1e-3)


def test_beta_is_divided_by_its_sum_and_reaches_the_words(play: Playground, post: str, before: Said) -> None:
    said = play.say(State(post, beta=(2.0, 1.0, 1.0)))
    assert said.beta == pytest.approx((0.5, 0.25, 0.25)) and said.rho == before.rho
    assert not same(said, before, within=1e-3)
    judged = play.say(State(post, beta=before.beta))
    assert judged.beta == pytest.approx(before.beta) and same(judged, before, within=1e-4)


def test_a_grain_of_share_0_is_not_looked_at(play: Playground, post: str) -> None:
    said = play.say(State(post, beta=(0.0, 1.0, 1.0)))
    assert said.on_grid.max() == 0 and said.on_objects.max() > 1


def test_a_part_is_taken_out_and_put_back(play: Playground, post: str, before: Said) -> None:
    without = {name: play.say(State(post, out=(name,))) for name in ("spatial_identity", "coattention_identity")}
    assert all(not same(said, before, within=1e-3) for said in without.values())
    assert not same(*without.values(), within=1e-3)
    assert same(play.say(State(post)), before)


def test_attention_is_that_of_the_last_part_that_reaches_the_words(play: Playground, post: str, before: Said) -> None:
    without = play.say(State(post, out=("coattention_identity",)))
    assert not np.allclose(without.on_objects, before.on_objects, atol=0.1)
    fed = play.say(State(post, out=("iteration_identity",)))
    assert fed.on_objects.max() > 1
    neither = play.say(State(post, out=("coattention_identity", "iteration_identity")))
    assert neither.on_objects.max() == neither.on_grid.max() == 0
    alone = play.say(State(post, image=NONE))
    assert same(neither, alone, within=1e-5)


def test_changes_of_different_kinds_add_up(play: Playground, post: str) -> None:
    state = State(post, rho=0.5, beta=(0.0, 0.0, 1.0), out=("coattention_identity",))
    said = play.say(state)
    assert said.rho == 0.5 and said.beta == (0, 0, 1)
    assert not same(said, play.say(replace(state, out=())), within=1e-3)


def test_another_image_is_seen_and_the_own_one_again(play: Playground, post: str, before: Said) -> None:
    file = next(iter(play.singles.values()))
    said = play.say(State(post, image=file))
    assert said.image is not None and before.image is not None and said.post is before.post
    assert ImageChops.difference(said.image, Image.open(play.corpus.folder / "images" / file)).getbbox() is None
    assert not same(said, before, within=1e-3)
    assert same(play.say(State(post, image=OWN)), before)


def test_the_images_to_choose_from_show_each_type_about_each_topic(play: Playground) -> None:
    assert len(play.singles) == 20
    for (type, _), file in play.singles.items():
        shown = [thing.type for thing in play.things(State(play.corpus.test[0].id, image=file)) if thing.type]
        assert shown == [type]


def test_each_cue_has_posts_and_each_post_a_name_of_the_cue(play: Playground) -> None:
    assert sum(len({post.id for post in posts}) for posts in play.by_cue.values()) >= len(play.corpus.test)
    assert play.by_cue["described"] == play.by_cue["other"]


@pytest.mark.usefixtures("generator")
def test_only_the_moved_object_changes(play: Playground, post: str, before: Said) -> None:
    thing = next(thing for thing in before.things if thing.type)
    x, y = thing.centre
    place = (x + 0.1 if x < 0.5 else x - 0.1, y)
    said = play.say(State(post, moved={thing.number: place}))
    assert said.image is not None and before.image is not None
    there = said.things[thing.number - 1]
    assert there.centre == pytest.approx(place, abs=2e-3)
    assert [one for one in said.things if one.number != thing.number] == [
        one for one in before.things if one.number != thing.number
    ]
    assert (there.name, there.type) == (thing.name, thing.type)
    x1, y1, x2, y2 = ImageChops.difference(said.image, before.image).getbbox() or (0, 0, 0, 0)
    near = 8 / said.image.width  # an outline extends over its box
    assert min(thing.box[0], there.box[0]) - near <= x1 / said.image.width
    assert x2 / said.image.width <= max(thing.box[2], there.box[2]) + near
    assert thing.box[1] - near <= y1 / said.image.height and y2 / said.image.height <= thing.box[3] + near
    assert not same(said, before, within=1e-3)


@pytest.mark.usefixtures("generator")
def test_an_object_moved_to_where_it_is_leaves_the_image_and_the_answer(
    play: Playground, post: str, before: Said
) -> None:
    said = play.say(State(post, moved={thing.number: thing.centre for thing in before.things}))
    assert said.image is not None and before.image is not None
    assert ImageChops.difference(said.image, before.image).getbbox() is None
    assert said.things == before.things and same(said, before)


@pytest.mark.usefixtures("generator")
def test_a_ring_moves_with_its_object(play: Playground) -> None:
    ringed = next(scene for scene in moving.scenes().values() if scene.kind == "marked")
    (number,) = [i for i, placed in enumerate(ringed.objects) if placed.ringed]
    objects = play._annotated(f"{ringed.id}.webp")
    image, boxes = moving.moved(f"{ringed.id}.webp", objects, {number: (0.5, 0.5)})
    x1, y1, x2, y2 = (round(image.width * side) for side in boxes[number].box)
    red = np.asarray(image.crop((x1, y1, x2, y2)), int)
    assert ((red[..., 0] > 180) & (red[..., 1:].max(-1) < 70)).sum() > 50


@pytest.mark.usefixtures("generator")
def test_a_box_that_leaves_the_image_is_cut_at_its_edge(play: Playground, post: str, before: Said) -> None:
    said = play.say(State(post, moved={1: (0.0, 1.0)}))
    x1, y1, x2, y2 = said.things[0].box
    assert x1 == 0 and y2 == 1 and 0 < x2 < before.things[0].box[2] - before.things[0].box[0] and 0 < y1 < 1


@pytest.mark.usefixtures("generator")
def test_an_image_that_is_not_of_the_generator_is_not_drawn_again(play: Playground) -> None:
    file = next(iter(play.singles.values()))
    objects = play._annotated(file)[1:]
    with pytest.raises(HamnerError, match=f"{file} is not an image of the bundled minitweets"):
        moving.moved(file, objects, {0: (0.5, 0.5)})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"post": "test-9999"}, "no test post 'test-9999'"),
        ({"image": "p9999.webp"}, "no test image 'p9999.webp': give 'own', 'none' or a file"),
        ({"moved": {9: (0.5, 0.5)}}, "no object 9: it has 5, numbered from 1"),
        ({"moved": {0: (0.5, 0.5)}}, "no object 0"),
        ({"moved": {1: (0.5, 1.5)}}, r"object 1 cannot be at \(0.5, 1.5\)"),
        ({"moved": {1: (float("nan"), 0.5)}}, "object 1 cannot be at"),
        ({"image": NONE, "moved": {1: (0.5, 0.5)}}, "no object 1: it has 0"),
        ({"rho": 1.5}, "rho cannot be 1.5: give a number from 0 to 1"),
        ({"rho": float("nan")}, "rho cannot be nan"),
        (
            {"beta": (0.5, 0.5)},
            r"beta cannot be \(0.5, 0.5\): give a weight of 0 or more for global, semantic, spatial",
        ),
        ({"beta": (1.0, -1.0, 1.0)}, "beta cannot be"),
        ({"beta": (0.0, 0.0, 0.0)}, "beta cannot be 0 for every grain: to see nothing, set rho to 0"),
        ({"out": ("spatial",)}, "no part is called 'spatial'.*spatial_identity"),
        ({"out": ("rho_other",)}, "no part is called 'rho_other'"),
    ],
)
def test_a_state_that_cannot_be_is_one_clear_error(
    play: Playground, post: str, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(HamnerError, match=said):
        play.say(replace(State(post), **changes))


def test_the_table_has_a_line_for_each_word_and_marks_what_changed(play: Playground, post: str, before: Said) -> None:
    after = play.say(State(post, image=NONE))
    table = differences(before, after)
    assert list(table.index) == list(before.post.words) and list(table.gold) == list(before.post.tags or ())
    assert list(table.changed == "changed") == [a != b for a, b in zip(before.tags, after.tags, strict=True)]
    assert list(table["p now"]) == [after.marginals[i, after.kinds.index(tag)] for i, tag in enumerate(after.tags)]
    other = play.say(State(play.by_cue["scene"][0].id))
    with pytest.raises(HamnerError, match="are different posts"):
        differences(before, other)


def test_the_figure_shows_numbers_names_and_both_answers(play: Playground, post: str, before: Said) -> None:
    word = before.first_name
    after = play.say(State(post, rho=0.0))
    figure = draw(before, after, word)
    image, old, new = figure.axes[:3]
    assert [text.get_text() for text in image.texts] == [thing.short for thing in before.things]
    assert [text.get_text() for text in old.texts] == [f"{value:.1f}" for value in before.on_objects[word]]
    for axes, said in ((old, before), (new, after)):
        assert f"{said.tags[word]} {said.probabilities[word]:.2f}\nρ {said.rho:.2f}" in axes.get_title(loc="left")


def test_the_figure_says_where_there_is_no_image(play: Playground, post: str, before: Said) -> None:
    figure = draw(before, play.say(State(post, image=NONE)), 0)
    assert ["no image" in [text.get_text() for text in axes.texts] for axes in figure.axes[:3]] == [True, False, True]


def test_the_panel_begins_with_a_post_as_it_is(play: Playground) -> None:
    panel = Controls(play)
    assert panel.answer.value.startswith('<img src="data:image/png') and "<table" in panel.answer.value
    assert panel.state == State(panel.playground.by_cue["position"][0].id)
    assert same(panel.said, panel.before)
    assert panel.rho.value == pytest.approx(panel.said.rho, abs=0.01) and panel.rho.disabled


def test_a_change_of_the_panel_is_answered_at_once(panel: Controls) -> None:
    shown = panel.answer.value
    panel.rho_judged.value = False
    panel.rho.value = 0.0
    assert panel.state.rho == 0 and panel.said.rho == 0 and not panel.rho.disabled
    assert panel.answer.value != shown
    panel.rho_judged.value = True
    assert same(panel.said, panel.before) and panel.rho.value == pytest.approx(panel.before.rho, abs=0.01)
    panel.beta_judged.value = False
    panel.beta["global"].value = 1.0
    panel.out["coattention_identity"].value = True
    assert panel.state.out == ("coattention_identity",) and panel.said.beta is not None
    assert panel.said.beta[0] > panel.before.beta[0]


@pytest.mark.usefixtures("generator")
def test_sliders_move_the_chosen_object_and_a_button_puts_it_back(panel: Controls) -> None:
    thing = panel.before.things[1]
    panel.object.value = thing.number
    assert (panel.x.value, panel.y.value) == pytest.approx(thing.centre, abs=0.01)
    assert panel.state.moved == {}
    panel.y.value = 0.9
    assert list(panel.state.moved) == [thing.number]
    assert panel.said.things[1].centre[1] > thing.centre[1]
    panel.object.value = 1
    assert list(panel.state.moved) == [thing.number]
    panel.back.click()
    assert panel.state.moved == {} and same(panel.said, panel.before)


def test_another_post_brings_its_own_image_and_words(panel: Controls) -> None:
    panel.image.value = NONE
    assert panel.said.image is None and panel.object.value is None
    panel.cue.value = "scene"
    post = panel.playground.by_cue["scene"][0]
    assert panel.state == State(post.id) and panel.before.post == post
    assert len(panel.word.options) == len(post.words) and panel.word.value == panel.before.first_name
    panel.post.value = panel.playground.by_cue["scene"][1].id
    assert panel.before.post.id == panel.post.value


def test_an_answer_that_is_impossible_is_shown_as_its_error(panel: Controls) -> None:
    panel.beta_judged.value = False
    for slider in panel.beta.values():
        slider.value = 0.0
    assert "beta cannot be 0 for every grain" in panel.answer.value
    panel.beta_judged.value = True
    assert "beta cannot be" not in panel.answer.value


def test_nothing_of_a_post_is_read_as_html(play: Playground, before: Said) -> None:
    words = ('<img src="x">', '"onerror="$x$', "\u202eevil", *before.post.words[3:])
    said = replace(before, post=replace(before.post, words=words))
    for word in range(3):
        html = controls._html(said, said, word)
        assert html.count("<img") == 1 and html.count("&lt;img src=") == 1 + 2 * (word == 0)
        assert '"onerror' not in html.partition("<table")[0] and "\u202e" not in html
    assert 'alt="The image, and where a word looks. before: &lt;img src=&quot;x&quot;&gt; O' in controls._html(
        said, said, 0
    )


def test_without_a_kernel_the_panel_is_a_picture_in_words_too(panel: Controls) -> None:
    data, metadata = panel._repr_mimebundle_()
    assert {"image/png", "text/plain", WIDGET} <= set(data)
    assert metadata["image/png"]["alt"] == data["text/plain"] and "now: " in data["text/plain"]


def test_without_the_icons_objects_stay_and_the_panel_says_why(
    play: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise HamnerError("resvg_py is missing: pip install 'hamner[minitweets]'")

    monkeypatch.setattr(controls, "scenes", missing)
    panel = Controls(play)
    assert panel.x.disabled and panel.y.disabled and "resvg_py is missing" in panel.note.value


@pytest.mark.parametrize(
    ("hidden", "act", "said"),
    [
        ("resvg_py", "from hamner.playground.moving import scenes; scenes()", "pip install 'hamner[minitweets]'"),
        (
            "ipywidgets",
            "from hamner.playground import Controls",
            "ipywidgets is missing: pip install 'hamner[notebooks]'",
        ),
    ],
)
def test_a_missing_package_is_named_with_its_extra(hidden: str, act: str, said: str) -> None:
    code = f"import sys; sys.modules[{hidden!r}] = None\n{act}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said in done.stderr.strip().splitlines()[-1]
