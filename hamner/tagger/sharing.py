"""A trained run handed on: into a folder, or to the Hugging Face hub, with a model card written from its record."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, HfApi, ModelCard, ModelCardData
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import validate_repo_id

from hamner.corpora.tags import PROTOCOLS
from hamner.encoders import OFFLINE
from hamner.errors import HamnerError
from hamner.escape import markdown, one_line
from hamner.files import hub_is_offline, written_whole
from hamner.training.runs import CALIBRATION, Run
from hamner.vision.features import HUBS

CARD = "README.md"


class SharingError(HamnerError):
    """A run cannot be handed on: nobody else could load it, or the hub does not take it."""


def save_pretrained(run: Run, folder: Path | str) -> Path:
    """Write what a tagger needs of a run into `folder`: its record, its weights, its temperature, and a model card.

    An earlier copy there is overwritten; predictions and retests are not copied. Returns the folder.

    Raises SharingError for a run without its weights, for a folder that holds other files, for the run's own folder,
    and for a text encoder that is a folder of this machine.
    """
    folder = Path(folder)
    if not run.weights.exists():
        raise SharingError(f"{run.folder} has no weights ({run.weights.name}): train the run into another folder")
    if folder.exists() and folder.samefile(run.folder):
        raise SharingError(f"{folder} is the run's own folder: give another one")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "run.json").exists():
        raise SharingError(f"{folder} holds files that are no run's, and could be overwritten: give a new folder")
    encoder = run.config.model.text_encoder
    if encoder not in OFFLINE and Path(encoder).exists():
        raise SharingError(
            f"the text encoder of {run.folder} is the folder {encoder}, which nobody else has: push it to the hub, and "
            "train with its name"
        )
    for file in (run.folder / "run.json", run.weights, run.folder / CALIBRATION):
        if file.exists():
            with written_whole(folder / file.name) as temporary:
                shutil.copyfile(file, temporary)
    if not (run.folder / CALIBRATION).exists():
        (folder / CALIBRATION).unlink(missing_ok=True)
    with written_whole(folder / CARD) as temporary:
        temporary.write_text(model_card(run), encoding="utf-8")
    return folder


def push_to_hub(run: Run, name: str, private: bool = False) -> str:
    """Upload a run to the hub as `name`, such as `me/tweets`, in one commit; returns its address.

    Needs a login (`hf auth login`). A repository that is there already gets a new commit.

    Raises SharingError as `save_pretrained` does, and when the hub cannot be reached or refuses the upload.
    """
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise SharingError(f"{name!r} is no name on the hub ({error}): write it as user/model") from error
    if hub_is_offline():
        raise SharingError(f"{name} cannot be pushed: HF_HUB_OFFLINE is set; unset it and try again")
    api = HfApi()
    with tempfile.TemporaryDirectory() as temporary:
        folder = save_pretrained(run, temporary)
        try:
            address = api.create_repo(name, private=private, exist_ok=True)
            api.upload_folder(repo_id=name, folder_path=folder, commit_message="A run of hamner")
        except (HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled, OSError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise SharingError(f"{name} cannot be pushed ({reason}): log in with `hf auth login`, and retry") from error
    return str(address)


def model_card(run: Run) -> str:
    """The model card of a run in Markdown, with YAML front matter: what it is, how to load it, how it was measured.

    All of it comes from the record, and all names in it are escaped. No licence is named: that is for whoever publishes
    it to say.
    """
    record, model = run.record, run.config.model
    corpus, visual = record["corpus"]["name"], run.config.visual
    scores = record["scores"]["test"]
    results = [
        EvalResult(
            task_type="token-classification",
            task_name="Named entity recognition",
            dataset_type=one_line(corpus),
            dataset_name=one_line(corpus),
            dataset_split="test",
            metric_type=measure,
            metric_name=f"{measure} (seqeval)",
            metric_value=round(scores["seqeval"]["overall"][measure], 4),
        )
        for measure in ("f1", "precision", "recall")
    ]
    base = model.text_encoder if model.text_encoder not in OFFLINE else None
    front = ModelCardData(
        library_name="hamner",
        pipeline_tag="token-classification",
        tags=["named-entity-recognition", *(["multimodal"] if visual is not None else [])],
        base_model=base,
        model_name=one_line(run.folder.name) or "hamner",
        eval_results=results,
    )
    reads = "words alone" if visual is None else f"words and images ({markdown(visual.label)})"
    lines = [
        f"# {markdown(run.folder.name) or 'hamner'}",
        "",
        f"Finds names in tweets from {reads}. Trained by hamner {markdown(record['versions'].get('hamner', ''))} on "
        f"{markdown(corpus)}, with the text encoder {markdown(model.text_encoder)}.",
        "",
        f"Entity types: {', '.join(map(markdown, run.types))}.",
        "",
        "```python",
        "import hamner",
        "",
        'tagger = hamner.Tagger.from_pretrained("FOLDER OR NAME OF THIS MODEL")',
        'tagger("Kelso meets Orva")',
        "```",
        "",
        *_needs(run),
        f"Scores on test of {markdown(corpus)}, in percent:",
        "",
        "| protocol | precision | recall | F1 |",
        "| --- | ---: | ---: | ---: |",
        *(f"| {protocol} | {_percent(scores[protocol]['overall'])} |" for protocol in PROTOCOLS),
        "",
        "| type (seqeval) | precision | recall | F1 |",
        "| --- | ---: | ---: | ---: |",
        *(f"| {markdown(type)} | {_percent(of_type)} |" for type, of_type in scores["seqeval"]["per_type"].items()),
        "",
        f"Best epoch {record['best_epoch']} of {len(record['history'])}, seed {run.config.seed}, "
        f"{record['parameters']:,} parameters. "
        + (
            "Scores of entities are calibrated on valid."
            if (run.folder / CALIBRATION).exists()
            else "Scores of entities are not calibrated."
        ),
        "",
        "Training data, by SHA-256:",
        "",
        *(f"- {markdown(file)}: {markdown(sha256)}" for file, sha256 in record["corpus"]["sha256"].items()),
    ]
    return str(ModelCard(f"---\n{front.to_yaml()}\n---\n\n" + "\n".join(lines) + "\n"))


def _needs(run: Run) -> list[str]:
    """Paragraphs about what the model needs that does not lie in its folder."""
    needs: list[str] = []
    extensions: dict[str, dict[str, Any]] = run.record.get("extensions", {})
    for kind, each in extensions.items():
        needs += [
            f"It needs the {kind} {markdown(each['name'])}, a class of its author's, whose file has the SHA-256 "
            f"{markdown(each['sha256'])}.",
            "",
        ]
    visual = run.config.visual
    if visual is not None and visual.backbone.startswith(HUBS):
        needs += [f"Images are encoded by {markdown(visual.backbone)}, which is fetched on first use.", ""]
    if visual is not None and visual.backbone == "captions":
        needs += ["It was trained on captions in the place of images, and cannot read an image.", ""]
    return needs


def _percent(measured: dict[str, float]) -> str:
    return " | ".join(f"{100 * measured[name]:.2f}" for name in ("precision", "recall", "f1"))
