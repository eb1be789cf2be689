"""Lesions: parts of a trained model replaced at test time. They ask whether a part is *used*.

An ablation trains a model without the part and asks whether it is *necessary*: another part may learn to take its
place. A lesion leaves the trained weights as they are. It replaces what one part computes by its input (identity), by
nothing (zero), by a constant (one, uniform, the mean over test) or by the value of another post.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd
import torch
from accelerate import PartialState
from torch import Tensor, nn

from hamner.corpora import Corpus
from hamner.devices import autocast_of
from hamner.errors import HamnerError
from hamner.evaluation import over_seeds, score
from hamner.files import read_text
from hamner.minitweets import CUES
from hamner.model.config import OWN_WORDS
from hamner.model.ham import Ham, ham_of
from hamner.model.hamner import HamNer
from hamner.model.intra_modality import GRAINS, Memory
from hamner.study.minitweets import answers_of, type_accuracy
from hamner.study.tables import by_name, leave_out, name_of, require_seeds_alone, runs, without_mixtures, write_files
from hamner.terminal import progress_bar
from hamner.training import Run
from hamner.training.batching import Batch, Split
from hamner.training.identity import difference, identity
from hamner.training.inputs import exchanged, read_words
from hamner.training.loop import predict
from hamner.training.retest import config_of_test, prepared_test
from hamner.training.runs import only_user_of, remove_leftovers, write_json
from hamner.vision.store import FEATURES

LESIONS_FILE = "lesions.json"
INTACT = "intact"
"""The name under which the results of the model without a lesion are kept."""

Hook = Callable[[nn.Module, tuple[Any, ...], Any], Any]
"""A forward hook: module, inputs and output to the output that takes its place."""


@dataclass
class Judged:
    """rho and beta of the intact model for each of N windows, and the windows of the current batch.

    rho   (N,)   relevance
    beta  (N, 3) the grains' shares
    other (N,)   for each window that sees something, another such window; itself where there is no other
    now   (B,)   the windows of the current batch
    """

    rho: Tensor
    beta: Tensor
    other: Tensor
    now: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))

    @property
    def seen(self) -> Tensor:
        """The windows (N,) whose image has at least one region."""
        return self.beta.sum(-1) > 0


class Lesion(NamedTuple):
    """One part of the model and its replacement.

    `hooks` gives the modules whose output is replaced, each with its hook; none for a model without the part.
    """

    part: str
    replacement: str
    hooks: Callable[[HamNer, Judged], list[tuple[nn.Module, Hook]]]


def _identity(inputs: tuple[Any, ...], output: Any) -> Any:
    """The first input in place of the first output; attention weights stay."""
    return (inputs[0], *output[1:]) if isinstance(output, tuple) else inputs[0]


def _on(
    *path: str, by: Callable[[tuple[Any, ...], Any], Any]
) -> Callable[[HamNer, Judged], list[tuple[nn.Module, Hook]]]:
    """The hooks of a lesion of the module at `path`, or of each module of a list there."""

    def hooks(model: HamNer, judged: Judged) -> list[tuple[nn.Module, Hook]]:
        module: Any = model
        for name in path:
            module = getattr(module, name, None)
        if module is None:
            return []
        modules = list(module) if isinstance(module, nn.ModuleList) else [module]
        return [(each, lambda _, inputs, output: by(inputs, output)) for each in modules]

    return hooks


def _judgement(
    present: Callable[[HamNer], bool], change: Callable[[Judged, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
) -> Callable[[HamNer, Judged], list[tuple[nn.Module, Hook]]]:
    """The hooks of a lesion of stage 2: `change` takes rho (B,), beta (B, 3) and the grains that are present (B, 3)."""

    def hooks(model: HamNer, judged: Judged) -> list[tuple[nn.Module, Hook]]:
        def hook(_: nn.Module, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            memory: Memory = inputs[1]
            one_hot = memory.grain[:, None] == torch.arange(len(GRAINS), device=memory.grain.device)  # (M, 3)
            grains = (memory.mask[:, :, None] & one_hot).any(1)  # (B, 3)
            rho, beta = change(judged, *output, grains)
            sees = grains.any(-1)  # (B,) with nothing to see, rho and beta stay 0
            return rho.masked_fill(~sees, 0.0), beta.masked_fill(~sees[:, None], 0.0)

        return [(ham_of(model).relevance, hook)] if present(model) else []

    return hooks


def _shares(beta: Tensor, grains: Tensor) -> Tensor:
    """Shares (B, 3) of the grains that are present, summing to 1; alike where `beta` gives all of them nothing."""
    shares = beta * grains
    shares = torch.where(shares.sum(-1, keepdim=True) > 0, shares, grains.to(beta.dtype))
    return shares / shares.sum(-1, keepdim=True).clamp(min=torch.finfo(beta.dtype).tiny)


def _judges(model: HamNer) -> bool:
    return isinstance(model.fusion, Ham) and model.config.relevance


def _weighs(model: HamNer) -> bool:
    return isinstance(model.fusion, Ham) and model.config.weighs_grains


def _zero(_: tuple[Any, ...], output: Tensor) -> Tensor:
    return torch.zeros_like(output)


def rho_set(value: float) -> Lesion:
    """Relevance set by hand to `value`, in [0, 1], wherever something can be seen."""
    return Lesion(
        "relevance",
        f"rho = {value:g}",
        _judgement(_judges, lambda judged, rho, beta, grains: (torch.full_like(rho, value), beta)),
    )


def beta_set(weights: Sequence[float], replacement: str | None = None) -> Lesion:
    """Shares of the grains set by hand, wherever something can be seen.

    Args:
        weights: one for each of GRAINS, 0 or more and not all 0; those of the grains that are present are divided by
            their sum.
        replacement: what tables call it; by default the weights.
    """

    def change(judged: Judged, rho: Tensor, beta: Tensor, grains: Tensor) -> tuple[Tensor, Tensor]:
        return rho, _shares(torch.tensor(weights).to(beta).expand_as(beta), grains)

    return Lesion(
        "integration", replacement or f"beta = {', '.join(f'{one:g}' for one in weights)}", _judgement(_weighs, change)
    )


LESIONS: dict[str, Lesion] = {
    "local_text_zero": Lesion("local text", "the convolution adds nothing", _on("text", "local", by=_zero)),
    "semantic_identity": Lesion(
        "semantic encoding", "each object keeps its own vector", _on("fusion", "vision", "semantic", by=_identity)
    ),
    "spatial_identity": Lesion(
        "spatial encoding", "each object keeps its own vector", _on("fusion", "vision", "spatial", by=_identity)
    ),
    "absolute_geometry_zero": Lesion(
        "spatial encoding", "the box's place adds nothing", _on("fusion", "vision", "spatial", "position", by=_zero)
    ),
    "relative_geometry_zero": Lesion(
        "spatial encoding", "other boxes' places add nothing", _on("fusion", "vision", "spatial", "out", by=_zero)
    ),
    "rho_one": rho_set(1.0),
    "rho_mean": Lesion(
        "relevance",
        "rho is its mean over test",
        _judgement(
            _judges,
            lambda judged, rho, beta, grains: (torch.full_like(rho, float(judged.rho[judged.seen].mean())), beta),
        ),
    ),
    "rho_other": Lesion(
        "relevance",
        "rho of another post",
        _judgement(_judges, lambda judged, rho, beta, grains: (judged.rho[judged.other[judged.now]].to(rho), beta)),
    ),
    "beta_uniform": beta_set([1.0] * len(GRAINS), "all grains count alike"),
    "beta_mean": Lesion(
        "integration",
        "beta is its mean over test",
        _judgement(
            _weighs,
            lambda judged, rho, beta, grains: (rho, _shares(judged.beta[judged.seen].mean(0).to(beta), grains)),
        ),
    ),
    "beta_other": Lesion(
        "integration",
        "beta of another post",
        _judgement(
            _weighs,
            lambda judged, rho, beta, grains: (rho, _shares(judged.beta[judged.other[judged.now]].to(beta), grains)),
        ),
    ),
    "iteration_identity": Lesion(
        "iterative interaction", "words skip the iterations", _on("fusion", "interaction", "words", by=_identity)
    ),
    "regions_identity": Lesion(
        "iterative interaction", "regions skip the iterations", _on("fusion", "interaction", "regions", by=_identity)
    ),
    "coattention_identity": Lesion(
        "co-attention", "each word keeps its own vector", _on("fusion", "interaction", "coattention", by=_identity)
    ),
}
"""Name -> lesion, in the order of the model. `hamner retest --shuffled 100` replaces the image itself."""


@contextmanager
def lesioned(model: HamNer, lesion: Lesion, judged: Judged) -> Iterator[None]:
    """Within this block the model has the lesion. Raises HamnerError for a model without the part."""
    hooks = lesion.hooks(model, judged)
    if not hooks:
        raise HamnerError(f"the model has no {lesion.part} to replace")
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def of_model(model: HamNer) -> list[str]:
    """The names of the lesions of parts that the model has."""
    return [name for name, lesion in LESIONS.items() if lesion.hooks(model, nothing_judged())]


def nothing_judged() -> Judged:
    """Judgements of no window, for lesions that put no other post's or mean judgement in a post's place."""
    return Judged(torch.zeros(0), torch.zeros(0, len(GRAINS)), torch.zeros(0, dtype=torch.long))


def judge(model: HamNer, batches: Sequence[Batch], windows: int, seed: int) -> Judged:
    """What the intact model judges of the windows in `batches`; `seed` draws the other posts."""
    rho, beta = torch.zeros(windows), torch.zeros(windows, len(GRAINS))
    with torch.inference_mode():
        for batch in batches:
            output = model(batch)
            if output.relevance is not None and output.integration is not None:
                rho[batch.index.cpu()] = output.relevance.float().cpu()
                beta[batch.index.cpu()] = output.integration.float().cpu()
    judged = Judged(rho, beta, torch.arange(windows))
    seen = judged.seen.nonzero()[:, 0]
    for number, another in exchanged(len(seen), seed).items():
        judged.other[seen[number]] = seen[another]
    return judged


def lesion_run(
    run: Run,
    corpus: Corpus,
    *,
    captions: Sequence[Path | str] = (),
    features: Path = FEATURES,
    progress: bool = True,
    wait: bool = False,
) -> dict[str, dict[str, Any]]:
    """Test the run intact and with each lesion, and keep the results in the run's folder, as lesions.json.

    Results of the same weights that exist already are returned as they are.

    Args:
        run: a finished run with its weights
        corpus: the corpus that it was trained on; its test split is tagged
        captions: captions files, for a run that reads captions, where they are no longer where it read them
        features: where visual features are kept
        progress: whether to show bars
        wait: whether to wait for another process that works in the run's folder

    Returns:
        "intact" and each lesion's name -> "f1" (seqeval protocol) and, for minitweets, "by_cue": type accuracy by cue.

    Raises:
        RunInUseError: another process works in the run's folder, and `wait` is False
        HamnerError: the run has no weights, or `corpus`, its images or captions are not those of its training
    """
    if run.record["corpus"]["sha256"] != corpus.sha256:
        raise HamnerError(f"{run.folder} was trained on another corpus: give {run.record['corpus']['name']}")
    if run.config.model.fusion != "ham":
        raise HamnerError(f"{run.folder} has the fusion {run.config.model.fusion}: lesions are of the parts of ham")
    if run.config.model.words in OWN_WORDS:
        raise HamnerError(
            f"{run.folder} has words={run.config.model.words}: lesions are of the parts of other text stages"
        )
    config = config_of_test(run, corpus, 0, captions)
    if unlike := difference(run.record, identity(corpus, config)):
        raise HamnerError(f"{run.folder} was trained with another {unlike.key}: give the files of its training")
    if (kept := read_lesions(run)) is not None:
        return kept  # without the lock: the folder may be on a read-only disk
    with only_user_of(run.folder, wait):
        if (kept := read_lesions(run)) is not None:
            return kept
        if not run.weights.exists():
            raise HamnerError(f"{run.folder} has no weights: train the run into another folder, and test that")
        remove_leftovers(run.folder)
        # Training has checked how many posts have no image.
        model, split = prepared_test(run, corpus, config, features=features, progress=progress, allow_missing=1.0)
        device = PartialState().device
        with autocast_of(config.precision, device):
            split.words = read_words(model, split, config, device, progress and f"{corpus.name} test")
            results = _tested(model, split, corpus, config.batch_size, config.seed, device, progress)
        write_json({"weights": run.record["weights_sha256"], "results": results}, run.folder / LESIONS_FILE)
    return results


def _tested(
    model: HamNer, split: Split, corpus: Corpus, size: int, seed: int, device: torch.device, progress: bool
) -> dict[str, dict[str, Any]]:
    """The results of the intact model and of each lesion."""
    batches = [batch.to(device) for batch in split.batches(4 * size)]
    answers = answers_of(corpus) if corpus.name == "minitweets" else None
    judged = judge(model, batches, len(split), seed)

    def one_by_one() -> Iterator[Batch]:
        for batch in batches:
            judged.now = batch.index.cpu()
            yield batch

    def result() -> dict[str, Any]:
        tags, _ = predict(model, one_by_one(), split.windows, len(corpus.test), device)
        f1 = score([post.tags or () for post in corpus.test], tags).overall.f1
        if answers is None:
            return {"f1": f1}
        by_post = {post.id: tuple(of_post) for post, of_post in zip(corpus.test, tags, strict=True)}
        return {"f1": f1, "by_cue": type_accuracy(answers, by_post).to_dict()}

    results = {INTACT: result()}
    for name in progress_bar(of_model(model), counts="lesions", unit="lesion", shown=progress):
        with lesioned(model, LESIONS[name], judged):
            results[name] = result()
    return results


def read_lesions(run: Run) -> dict[str, dict[str, Any]] | None:
    """The results in a run's folder; None if there are none of these weights. Raises HamnerError for a damaged file."""
    path = run.folder / LESIONS_FILE
    if not path.exists():
        return None
    try:
        kept = json.loads(read_text(path))
        if kept["weights"] != run.record["weights_sha256"]:
            return None
        for name, result in kept["results"].items():
            shares = [result["f1"], *result.get("by_cue", {}).values()]
            if (name != INTACT and name not in LESIONS) or not all(0 <= float(share) <= 1 for share in shares):
                raise ValueError(f"{name} is no result of a lesion")
        return {INTACT: kept["results"][INTACT]} | kept["results"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise HamnerError(f"{path} is damaged ({error!r}): delete it, and run hamner lesion again") from error


def lesion_table(tested: Sequence[Run]) -> pd.DataFrame:
    """What each lesion costs: a line for each corpus, row, lesion and measure, over the seeds whose results are kept.

    Columns: corpus, encoder, row, source, lesion, part, replacement; measure, "f1" or a cue; seeds; intact and
    lesioned, the means in percent; change, the mean difference in points; sd, its standard deviation over seeds (None
    for one seed).

    Raises HamnerError when runs of one name differ in more than their seed, or share a seed.
    """
    lines: list[dict[str, Any]] = []
    for group in by_name(tested):
        require_seeds_alone(group)
        results = [kept for run in group if (kept := read_lesions(run)) is not None]
        for name, lesion in LESIONS.items():
            both = [(_measures(kept[INTACT]), _measures(kept[name])) for kept in results if name in kept]
            for measure in both[0][0] if both else ():
                intact, lesioned = ([100 * each[measure] for each in side] for side in zip(*both, strict=True))
                change = over_seeds([after - before for before, after in zip(intact, lesioned, strict=True)])
                lines.append(
                    name_of(group[0])
                    | {"lesion": name, "part": lesion.part, "replacement": lesion.replacement, "measure": measure}
                    | {"seeds": change.n, "intact": fmean(intact), "lesioned": fmean(lesioned)}
                    | {"change": change.mean, "sd": change.sd}
                )
    return pd.DataFrame(lines)


def _measures(result: dict[str, Any]) -> dict[str, float]:
    """F1 and, where there is any, type accuracy by cue."""
    return {"f1": result["f1"], **{cue: result["by_cue"][cue] for cue in CUES if "by_cue" in result}}


def readable(table: pd.DataFrame) -> str:
    """The changes in points as text: a block for each corpus and row, a line for each lesion, a column per measure."""
    blocks = []
    for name, group in table.groupby(["corpus", "encoder", "row", "source"], sort=False):
        changes = group.pivot(index="lesion", columns="measure", values="change")
        changes = changes.loc[list(dict.fromkeys(group.lesion)), list(dict.fromkeys(group.measure))]
        intact = group.drop_duplicates("measure").set_index("measure").intact
        changes = pd.concat([intact.to_frame(INTACT).T[changes.columns], changes]).rename_axis(None, axis=1)
        seeds = group.seeds.max()
        blocks.append(
            f"{' '.join(filter(None, name))}, {seeds} seed{'s' if seeds > 1 else ''}: "
            f"{INTACT} in percent, then changes in points\n"
            + changes.to_string(float_format=lambda value: f"{value:.1f}")
        )
    return "\n\n".join(blocks)


def write_lesions(folder: Path | None = None) -> list[Path]:
    """Write lesions.csv into data/tables or `folder` from the runs under data/runs, unless none has results."""
    kept = []
    for run in without_mixtures(runs()):
        try:
            kept += [run] if read_lesions(run) is not None else []
        except HamnerError as error:
            leave_out(error)
    if not kept:
        return []
    return write_files({"lesions.csv": lesion_table(kept)}, folder, decimals=4)
