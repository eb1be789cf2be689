"""The playground's panel for notebooks: menus, sliders and boxes of ipywidgets, and what the model says beside them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import BytesIO
from typing import Any

try:
    import ipywidgets as widgets
except ModuleNotFoundError as error:
    from hamner.errors import HamnerError

    raise HamnerError(f"{error.name} is missing: pip install 'hamner[notebooks]'") from error
from matplotlib.figure import Figure

from hamner.corpora import Post
from hamner.drawing.style import Drawn, write_figure
from hamner.errors import HamnerError
from hamner.escape import one_line
from hamner.figures.attention_maps import before_and_after
from hamner.model.intra_modality import GRAINS
from hamner.playground.moving import scenes
from hamner.playground.state import NONE, OWN, PARTS, Playground, Said, State, differences, looks
from hamner.study.lesions import LESIONS

LONGEST = 70
"""Characters of a post in the menu of posts."""


class Controls:
    """Menus for the post and its image, sliders for rho, beta and the places of objects, and boxes for parts.

    A notebook shows the panel as the last value of a cell. Each change is answered at once: `said` is what the model
    says then, `before` what it says of the post as it is. Readers without a running kernel (on a site, in a repository)
    see the last answer as a picture.
    """

    def __init__(self, playground: Playground | None = None) -> None:
        self.playground = Playground() if playground is None else playground
        self._quiet = False
        self._places: dict[int, tuple[float, float]] = {}
        wide: dict[str, Any] = {"layout": widgets.Layout(width="32em"), "style": {"description_width": "6em"}}
        share: dict[str, Any] = {"min": 0.0, "max": 1.0, "step": 0.01, "continuous_update": False, **wide}
        self.cue = widgets.Dropdown(description="cue", options=list(self.playground.by_cue), value="position", **wide)
        self.post = widgets.Dropdown(description="post", **wide)
        self.image = widgets.Dropdown(description="image", options=self._images(), value=OWN, **wide)
        self.word = widgets.Dropdown(description="attention of", **wide)
        self.rho_judged = widgets.Checkbox(description="rho as judged", value=True, indent=False)
        self.rho = widgets.FloatSlider(description="rho", **share)
        self.beta_judged = widgets.Checkbox(description="beta as judged", value=True, indent=False)
        self.beta = {grain: widgets.FloatSlider(description=grain, **share) for grain in GRAINS}
        self.object = widgets.Dropdown(description="object", **wide)
        self.x = widgets.FloatSlider(description="x", **share)
        self.y = widgets.FloatSlider(description="y", **share)
        self.back = widgets.Button(description="put all objects back")
        self.out = {
            name: widgets.Checkbox(description=f"{LESIONS[name].part}: {LESIONS[name].replacement}", indent=False)
            for name in PARTS
        }
        self.note = widgets.HTML()
        self.answer = widgets.HTML()
        left = [self.cue, self.post, self.image, self.word, self.rho_judged, self.rho, self.beta_judged]
        left += [
            *self.beta.values(),
            self.object,
            self.x,
            self.y,
            self.back,
            widgets.HTML("take out"),
            *self.out.values(),
        ]
        self.panel = widgets.HBox(
            [widgets.VBox(left), widgets.VBox([self.note, self.answer])], layout=widgets.Layout(flex_flow="row wrap")
        )
        self._require_icons()
        self.cue.observe(self._new_cue, "value")
        self.post.observe(self._new_post, "value")
        self.image.observe(self._new_image, "value")
        self.object.observe(self._new_object, "value")
        self.back.on_click(self._put_back)
        for one in (self.x, self.y):
            one.observe(self._move, "value")
        for one in (self.word, self.rho_judged, self.rho, self.beta_judged, *self.beta.values(), *self.out.values()):
            one.observe(self._changed, "value")
        self._new_cue(None)

    @property
    def state(self) -> State:
        """What the controls say."""
        return State(
            post=self.post.value,
            image=self.image.value,
            moved=dict(self._places),
            rho=None if self.rho_judged.value else self.rho.value,
            beta=None if self.beta_judged.value else tuple(slider.value for slider in self.beta.values()),
            out=tuple(name for name, box in self.out.items() if box.value),
        )

    def figure(self) -> Figure:
        """The picture of the last answer."""
        return before_and_after(*looks(self.before, self.said, self.word.value))

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The panel, and for readers without a kernel the picture and its words."""
        figure = self.figure()
        assert isinstance(figure, Drawn)
        png, metadata = figure._repr_png_()
        alive = self.panel._repr_mimebundle_() or {}
        still = {"text/plain": figure.get_label(), "image/png": base64.b64encode(png).decode("ascii")}
        return {**alive, **still}, {"image/png": metadata}

    def _images(self) -> list[tuple[str, str]]:
        """(label, value) of the menu of images."""
        others = [(f"shows {type}, about {topic}", file) for (type, topic), file in self.playground.singles.items()]
        return [("the post's own", OWN), ("no image", NONE), *sorted(others)]

    def _require_icons(self) -> None:
        """Switch the sliders of places off where images cannot be drawn again, and say so."""
        try:
            scenes()  # now, so that no change has to wait for it
        except HamnerError as error:
            self.x.disabled = self.y.disabled = True
            self.note.value = escape(one_line(str(error)))

    @contextmanager
    def _several(self) -> Iterator[None]:
        """Set several controls, and answer once."""
        outer, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = outer
        self._changed(None)

    def _new_cue(self, _: Any) -> None:
        with self._several():
            posts = self.playground.by_cue[self.cue.value]
            _fill(self.post, [(_label(post), post.id) for post in posts], posts[0].id)
            self._new_post(None)

    def _new_post(self, _: Any) -> None:
        """Another post: its words, its own image, and nothing moved."""
        with self._several():
            self.before = self.playground.say(State(self.post.value))
            words = [(f"{i + 1} {one_line(word)}", i) for i, word in enumerate(self.before.post.words)]
            _fill(self.word, words, self.before.first_name)
            self.image.value = OWN
            self._new_image(None)

    def _new_image(self, _: Any) -> None:
        with self._several():
            self._places = {}
            things = self.playground.things(self.state)
            _fill(self.object, [(thing.label, thing.number) for thing in things], 1 if things else None)
            self._new_object(None)

    def _new_object(self, _: Any) -> None:
        """Another object: the sliders go to where it is."""
        with self._several():
            if self.object.value is not None:
                thing = self.playground.things(self.state)[self.object.value - 1]
                self.x.value, self.y.value = self._places.get(thing.number, thing.centre)

    def _move(self, _: Any) -> None:
        if not self._quiet and self.object.value is not None:
            self._places[self.object.value] = (self.x.value, self.y.value)
            self._changed(None)

    def _put_back(self, _: Any) -> None:
        with self._several():
            self._places = {}
            self._new_object(None)

    def _changed(self, _: Any) -> None:
        """Ask the model, and show what it says; an error is shown in its place."""
        if self._quiet:
            return
        try:
            self.said = self.playground.say(self.state)
        except HamnerError as error:
            self.answer.value = escape(one_line(str(error)))
            return
        self._quiet = True  # sliders follow the model, and that asks for no answer
        self.rho.disabled = self.rho_judged.value
        if self.rho_judged.value and self.said.rho is not None:
            self.rho.value = self.said.rho
        for slider, share in zip(self.beta.values(), self.said.beta or [None] * len(GRAINS), strict=True):
            slider.disabled = self.beta_judged.value
            if self.beta_judged.value and share is not None:
                slider.value = share
        self._quiet = False
        self.answer.value = _html(self.before, self.said, self.word.value)


def _fill(menu: widgets.Dropdown, options: list[tuple[str, Any]], value: Any) -> None:
    menu.options = options
    menu.value = value


def _label(post: Post) -> str:
    text = one_line(" ".join(post.words))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _html(before: Said, now: Said, word: int) -> str:
    """The picture and the table; nothing of a post is read as HTML."""
    png, figure = BytesIO(), before_and_after(*looks(before, now, word))
    write_figure(figure, png, "png", dpi=100)  # drawn in half the time
    picture = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode('ascii')}"
    table = differences(before, now).rename(index=one_line).to_html(float_format="{:.2f}".format, escape=True)
    return f'<img src="{picture}" alt="{escape(str(figure.get_label()))}" style="max-width:660px">{table}'
