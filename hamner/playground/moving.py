"""Objects moved for real: an image of minitweets is drawn again, with an icon in another place.

The drawing of an image depends on its id and the seed alone, so that every pixel stays that the moved objects neither
leave nor cover. An object takes its ring and its box along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hamner.errors import HamnerError

if TYPE_CHECKING:
    from hamner.minitweets.scenes import Scene
    from hamner.vision.objects import ImageObject

Place = tuple[float, float]
"""x and y of the centre of an object's box, as shares of the image's width and height."""


def moved(
    file: str, objects: Sequence[ImageObject], places: Mapping[int, Place]
) -> tuple[Image.Image, list[ImageObject]]:
    """The image with some of its objects in other places, and all objects with their boxes.

    Args:
        file: name of the image, such as p0584.webp.
        objects: its annotated objects.
        places: number of an object in `objects` -> its new centre.

    Raises:
        HamnerError: the icons are not installed, or the image is not one of the bundled minitweets.
    """
    from hamner.minitweets.backgrounds import SIDE
    from hamner.minitweets.build import exact_image, few_colours

    scene = scenes().get(file)
    if scene is None or [item.box for item in objects] != [placed.box for placed in scene.objects]:
        raise HamnerError(f"{file} is not an image of the bundled minitweets: check out data/minitweets again")
    placed, boxes = list(scene.objects), list(objects)
    for number, (x, y) in places.items():
        one = placed[number]
        x1, y1, x2, y2 = one.box
        dx, dy = x - (x1 + x2) / 2, y - (y1 + y2) / 2
        placed[number] = replace(one, x=one.x + SIDE * dx, y=one.y + SIDE * dy)
        box = (_share(x1 + dx), _share(y1 + dy), _share(x2 + dx), _share(y2 + dy))
        boxes[number] = objects[number]._replace(box=box)
    after = exact_image(replace(scene, objects=tuple(placed)))
    exact, image = _drawn(file)
    changed = (np.asarray(after) != exact).any(-1, keepdims=True)  # each image chooses its few colours by itself
    return Image.fromarray(np.where(changed, np.asarray(few_colours(after)), image)), boxes


@lru_cache(maxsize=8)
def _drawn(file: str) -> tuple[np.ndarray, np.ndarray]:
    """An image (height, width, 3) as it was drawn, and in few colours, as it is in the corpus."""
    from hamner.minitweets.build import exact_image, few_colours

    exact = exact_image(scenes()[file])
    return np.asarray(exact), np.asarray(few_colours(exact))


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 3)


@cache
def scenes() -> dict[str, Scene]:
    """Each image of the bundled minitweets by its file name, as it was before it was drawn.

    Raises HamnerError when the icons are not installed.
    """
    try:
        from hamner.minitweets import SEED
        from hamner.minitweets.posts import plan
    except ModuleNotFoundError as error:
        raise HamnerError(
            f"objects are moved by drawing the image again, and {error.name} is missing: pip install "
            "'hamner[minitweets]'"
        ) from error
    return {f"{image.id}.webp": image for part in plan(SEED) for image in part.images}
