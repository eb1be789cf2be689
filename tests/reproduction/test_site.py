from __future__ import annotations

import base64
import csv
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import nbformat
import pytest
import torch
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from hamner.drawing.captions import Caption, read_captions
from hamner.errors import HamnerError
from hamner.model.intra_modality import phi
from hamner.model.relevance import SHARPNESS
from hamner.reproduction import course, printing, site

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = site.Repository("https://github.com/someone/hamner", "main")
CAPTIONS = {"curve": Caption("Loss by epoch.", "A line that falls.")}
NUMBERS = {
    "03": "03_relevance.ipynb",
    "03b": "03b_integration.ipynb",
    "09": "09_tables.ipynb",
    "b2": "b2_geometry.ipynb",
}
PNG = base64.b64encode(b"png").decode()


def image(kind: str = "image/png", data: str = PNG, text: str = "figures/curve.png", **metadata: str) -> NotebookNode:
    return new_output("execute_result", data={kind: data, "text/plain": text}, metadata={kind: metadata})


def prepared(*cells: NotebookNode, shown: set[str] | None = None) -> tuple[list[NotebookNode], list[str]]:
    notebook = new_notebook(cells=list(cells))
    problems = site.prepare(notebook, CAPTIONS, NUMBERS, REPOSITORY, set() if shown is None else shown)
    return notebook.cells, problems


def test_a_figure_gets_the_caption_and_the_alt_text_of_the_one_source() -> None:
    (cell, prose), problems = prepared(
        new_code_cell("save(draw(), 'curve')", outputs=[image(alt="curve")]),
        new_markdown_cell("*The loss, by\nepoch; see there.*\n\nIt *falls*."),
    )
    assert cell.metadata.mystnb == {
        "figure": {"caption": "Loss by epoch.", "name": "fig-curve"},
        "image": {"alt": "A line that falls."},
    }
    assert prose.source == "It *falls*."  # the notebook's own caption is not said twice
    assert not problems


def test_an_emphasis_that_is_no_caption_of_a_figure_stays() -> None:
    cells, _ = prepared(new_code_cell("1"), new_markdown_cell("*Many tests.*\n\nWhoever tests."))
    assert cells[1].source == "*Many tests.*\n\nWhoever tests."


def test_a_figure_that_two_pages_show_is_numbered_once() -> None:
    shown: set[str] = set()
    names = [
        prepared(new_code_cell("x", outputs=[image()]), shown=shown)[0][0].metadata.mystnb["figure"].get("name")
        for _ in range(2)
    ]
    assert names == ["fig-curve", None]


def test_an_image_without_alt_text_is_reported_and_one_with_its_own_keeps_it() -> None:
    (first, second), problems = prepared(
        new_code_cell("tagged.show()", outputs=[image(text="<Figure>", alt="A tagged post: Kelso")]),
        new_code_cell("Image(path)", outputs=[image(text="<Image>")]),
    )
    assert first.metadata.mystnb["image"] == {"alt": "A tagged post: Kelso"}
    assert problems == ['the image of code cell 2 has no alt text: Image(..., alt="..."), or save(...)']
    assert second.metadata.mystnb["image"]["alt"]


def test_a_webp_image_becomes_a_png_which_sphinx_knows() -> None:
    webp = BytesIO()
    Image.new("RGB", (3, 2), "red").save(webp, "webp", lossless=True)
    (cell,), _ = prepared(
        new_code_cell("x", outputs=[image("image/webp", base64.b64encode(webp.getvalue()).decode(), width="3")])
    )
    (output,) = cell.outputs
    with Image.open(BytesIO(base64.b64decode(output.data["image/png"]))) as opened:
        assert (opened.format, opened.size, opened.getpixel((0, 0))) == ("PNG", (3, 2), (255, 0, 0))
    assert output.metadata == {"image/png": {"width": "3"}}


def test_solutions_and_the_installation_are_folded_and_the_installation_names_the_repository() -> None:
    (install, solution, plain), _ = prepared(
        new_code_cell('REPOSITORY = ""\nclone(REPOSITORY)', metadata={"tags": ["install"]}),
        new_code_cell("answer", metadata={"tags": ["solution"]}),
        new_code_cell("1 + 1"),
    )
    assert install.source.startswith('REPOSITORY = "https://github.com/someone/hamner"\n')
    for cell, prompt in ((install, "Installation"), (solution, "Solution")):
        assert "hide-cell" in cell.metadata.tags
        assert cell.metadata.mystnb["code_prompt_show"] == prompt
    assert not plain.metadata


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see notebook 03, section 2", "see notebook [03](03_relevance.ipynb), section 2"),
        ("notebooks 03 and 09", "notebooks [03](03_relevance.ipynb) and [09](09_tables.ipynb)"),
        ("notebook 03b, section 1", "notebook [03b](03b_integration.ipynb), section 1"),
        ("notebooks 03 and 03b", "notebooks [03](03_relevance.ipynb) and [03b](03b_integration.ipynb)"),
        ("notebook 03c", "notebook 03c"),
        ("Notebook b2 derives it", "Notebook [b2](b2_geometry.ipynb) derives it"),
        ("notebook 77", "notebook 77"),
        ("[notebook 03](x.md)", "[notebook 03](x.md)"),
        ("`notebook 03`", "`notebook 03`"),
        ("    notebook 03", "    notebook 03"),
        ("```\nnotebook 03\n```", "```\nnotebook 03\n```"),
        (
            "```{glossary}\nrow\n  See notebook 03.\n```",
            "```{glossary}\nrow\n  See notebook [03](03_relevance.ipynb).\n```",
        ),
        ("```python\n1\n```\nnotebook 03", "```python\n1\n```\nnotebook [03](03_relevance.ipynb)"),
        ("| 03, 09 | tables |", "| [03](03_relevance.ipynb), [09](09_tables.ipynb) | tables |"),
        ("| 03b | shares |", "| [03b](03b_integration.ipynb) | shares |"),
        ("| 0.03 | 09 |", "| 0.03 | 09 |"),
    ],
)
def test_mentions_of_notebooks_become_links(text: str, expected: str) -> None:
    assert site.with_links(text, NUMBERS) == expected


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://github.com/someone/hamner", "https://github.com/someone/hamner"),
        ("https://github.com/someone/hamner.git", "https://github.com/someone/hamner"),
        ("git@github.com:someone/hamner.git", "https://github.com/someone/hamner"),
        ("ssh://git@gitlab.com/someone/hamner.git/", "https://gitlab.com/someone/hamner"),
        ("https://login:secret@github.com/someone/my.hamner.git", "https://github.com/someone/my.hamner"),
    ],
)
def test_the_buttons_lead_to_where_the_checkout_was_cloned_from(tmp_path: Path, address: str, url: str) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    assert site.repository_of(tmp_path) is None
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", address], check=True)
    assert site.repository_of(tmp_path) == site.Repository(url, "main")
    assert site.repository_of(tmp_path, "https://github.com/other/fork", "dev") == site.Repository(
        "https://github.com/other/fork", "dev"
    )


def test_an_address_that_is_no_repository_is_refused() -> None:
    with pytest.raises(HamnerError, match=r"example\.org/x: name a repository as https://github\.com/OWNER/NAME"):
        site.repository_of(ROOT, "https://example.org/x")


PLACE = "# x\n<!-- badges -->\n<!-- end of badges -->\nnext\n"


def test_badges_open_the_first_notebook_of_whoever_has_the_repository(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(PLACE)
    site.badges(readme, site.Repository("https://github.com/first/hamner", "main"))
    site.badges(readme, site.Repository("https://github.com/second/hamner", "dev"))
    text = readme.read_text()
    assert "first" not in text, "the badges of another repository are replaced"
    quickstart = "notebooks/00_quickstart.ipynb"
    assert f"(https://mybinder.org/v2/gh/second/hamner/dev?urlpath=lab/tree/{quickstart})" in text
    assert f"(https://colab.research.google.com/github/second/hamner/blob/dev/{quickstart})" in text
    assert (ROOT / quickstart).is_file()
    site.badges(readme, site.Repository("https://gitlab.com/a/b", "main"))
    assert "mybinder.org/v2/gl/a%2Fb/main?" in readme.read_text()
    assert "colab" not in readme.read_text()


def test_a_page_without_a_place_for_badges_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# x\n")
    with pytest.raises(HamnerError, match="<!-- badges -->"):
        site.badges(readme, REPOSITORY)
    assert readme.read_text() == "# x\n"
    assert site.BADGES.search((ROOT / "README.md").read_text()), "ours has the place"


def test_colab_opens_only_what_lies_on_github() -> None:
    assert "colab_url" in site.buttons(REPOSITORY)["launch_buttons"]
    assert "colab_url" not in site.buttons(site.Repository("https://gitlab.com/a/b", "main"))["launch_buttons"]
    assert site.buttons(None) == {}


def test_links_out_of_the_site_lead_to_the_repository_or_are_plain_text() -> None:
    text = (
        "[a](../hamner/model) [b](RESULTS.md#x) [c](https://doi.org/1) [d](../data/tables/results.md#y) ![i](../x.png)"
    )
    page, inside = Path("docs/MODEL.md"), {"docs/RESULTS.md"}
    url = "https://github.com/someone/hamner"
    assert site.relinked(text, page, ROOT, inside, REPOSITORY) == (
        f"[a]({url}/tree/main/hamner/model) [b](RESULTS.md#x) [c](https://doi.org/1) "
        f"[d]({url}/blob/main/data/tables/results.md#y) ![i](../x.png)"
    )
    assert (
        site.relinked(text, page, ROOT, inside, None) == "a [b](RESULTS.md#x) [c](https://doi.org/1) d ![i](../x.png)"
    )


@pytest.fixture(scope="module")
def assembled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the site. That they come without an error says that each image has an alt text."""
    folder = tmp_path_factory.mktemp("book") / "source"
    folder.mkdir()
    (folder / "old.md").write_text("a page of an earlier build")
    site.assemble(ROOT, folder, REPOSITORY)
    return folder


def test_an_image_without_alt_text_fails_the_site_and_is_named(tmp_path: Path) -> None:
    for name in ("notebooks", "figures", "docs/book"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "figures" / "captions.csv").write_text("figure,caption,alt\n")
    (tmp_path / "docs" / "book" / "index.md").write_text("# Start\n")

    def assemble(**metadata: str) -> None:
        cell = new_code_cell("Image(path)", outputs=[image(text="<Image>", **metadata)])
        nbformat.write(new_notebook(cells=[cell]), tmp_path / "notebooks" / "03b_small.ipynb")
        site.assemble(tmp_path, tmp_path / "source", None)

    assemble(alt="A cat.")
    with pytest.raises(HamnerError, match="1 images without alt text: 03b_small: the image of code cell 1 has no"):
        assemble()


def test_the_contents_name_what_exists_and_nothing_else(assembled: Path) -> None:
    index = (assembled / "index.md").read_text(encoding="utf-8")
    notebooks = {f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    pages = {f"docs/{page.stem}" for page in (ROOT / "docs").glob("*.md")}
    course_pages = {f"docs/course/{page.stem}" for page in (ROOT / "docs" / "course").glob("*.md")} - {
        "docs/course/exam"
    }
    quiz = {f"docs/course/quiz/{page.stem}" for page in (ROOT / "docs" / "course" / "quiz").glob("*.md")}
    first = "docs/course/quiz/README"  # it lists the others, in the order of their notebooks
    assert set(re.findall(r"^(?:notebooks|docs)/\S+$", index, re.MULTILINE)) == notebooks | pages | course_pages | {
        first
    }
    listed = (assembled / f"{first}.md").read_text(encoding="utf-8").partition("```{toctree}\n:hidden:\n\n")[2]
    assert listed.split() == [*(path.stem for path in site.site_notebooks(ROOT)), "```"]
    assert {f"docs/course/quiz/{name}" for name in listed.split()[:-1]} == quiz - {first}
    written = {
        path.relative_to(assembled).as_posix() for path in assembled.rglob("*") if path.suffix in (".md", ".ipynb")
    }
    expected = {f"{name}.ipynb" for name in notebooks} | {f"{name}.md" for name in pages | course_pages | quiz}
    assert written == expected | {"index.md", "figure_list.md"}
    assert "{" not in re.sub(r"```\{\w+\}", "", index)  # captions are filled in
    assert index.index("docs/course/plan\n") < index.index("docs/course/glossary\n")
    glossary = (assembled / "docs" / "course" / "glossary.md").read_text(encoding="utf-8")
    assert "notebook [07](../../notebooks/07_ablations.ipynb)" in glossary


def test_a_notebook_ends_with_a_link_to_its_quiz_and_the_quiz_links_the_notebooks_that_it_names(
    assembled: Path,
) -> None:
    for path in (assembled / "notebooks").glob("*.ipynb"):
        last = json.loads(path.read_text(encoding="utf-8"))["cells"][-1]
        (target,) = re.findall(r"\]\(([^)]+)\)", "".join(last["source"]))
        assert (path.parent / target).resolve() == assembled / "docs" / "course" / "quiz" / f"{path.stem}.md"
        assert (path.parent / target).is_file()
    index = (assembled / "docs" / "course" / "quiz" / "README.md").read_text(encoding="utf-8")
    assert "| [00](../../../notebooks/00_quickstart.ipynb) | [Tag a tweet with its image](00_quickstart.md) |" in index


def test_a_track_with_a_letter_has_its_own_contents_and_is_counted_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    for name in ("b10_last", "b2_geometry", "03b_half", "03_whole", "01_data", "00_start", "10_own", "notes"):
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text("{}")
    found = site.site_notebooks(tmp_path)
    assert [path.stem for path in found] == [
        "00_start",
        "01_data",
        "03_whole",
        "03b_half",
        "10_own",
        "b2_geometry",
        "b10_last",
    ]
    contents = site.contents(found, [])
    assert contents.index("Build the model yourself") > contents.index("notebooks/10_own")
    assert contents.index("notebooks/03_whole") < contents.index("notebooks/03b_half") < contents.index("notebooks/10")
    assert contents.index("notebooks/b2_geometry") < contents.index("notebooks/b10_last")
    assert "Build the model" not in site.contents(found[:5], [])


def test_a_folder_without_notebooks_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(HamnerError, match=r"notebooks: no notebook NN_name\.ipynb; run this from a checkout"):
        site.site_notebooks(tmp_path)


def test_every_figure_that_a_notebook_shows_is_captioned_on_its_page(assembled: Path) -> None:
    captions = read_captions()
    for path in (assembled / "notebooks").glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            texts = ["".join(output.get("data", {}).get("text/plain", "")) for output in cell.get("outputs", [])]
            for name in re.findall(r"^figures/(\w+)\.png$", "\n".join(texts), re.MULTILINE):
                assert cell["metadata"]["mystnb"]["image"] == {"alt": captions[name].alt}, name


def test_sphinx_that_is_missing_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "find_spec", lambda name: None)
    with pytest.raises(HamnerError, match="sphinx is missing: `make book` installs it"):
        site.build(tmp_path, tmp_path / "source", tmp_path / "html", "html")
    with pytest.raises(HamnerError, match="sphinx-mathjax-offline is missing: `make book` installs it"):
        site.copy_mathjax(tmp_path)


def test_a_fault_that_sphinx_finds_fails_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sphinx = tmp_path / "sphinx.py"
    sphinx.write_text("import sys; print('notebooks/00.ipynb: WARNING: broken', file=sys.stderr)")
    monkeypatch.setattr(site, "find_spec", lambda name: sys)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(HamnerError, match=r"1 faults, listed in .*html.log; the first: notebooks/00.ipynb: WARNING"):
        site.build(tmp_path, tmp_path / "source", tmp_path / "html", "html")
    sphinx.write_text("")
    site.build(tmp_path, tmp_path / "source", tmp_path / "html", "html")


# --- captions


def test_every_figure_has_a_caption_and_an_alt_text_that_says_more_than_its_name() -> None:
    captions = read_captions()
    assert set(captions) == {path.stem for path in (ROOT / "figures").glob("*.png")}
    for name, (text, alt) in captions.items():
        assert text.endswith(".") and alt.endswith("."), name
        assert len(alt.split()) >= 10 and alt != text, name
    assert len({caption.alt for caption in captions.values()}) >= len(captions) - 1  # two cues share a layout


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("name,text\n", "line 1: its columns must be figure,caption,alt"),
        ("figure,caption,alt\na,b.,\n", "line 2: give a figure's name, its caption and its alt text"),
        ("figure,caption,alt\na,b.,c.\na,b.,c.\n", "line 3: a has a caption already; delete one"),
    ],
)
def test_a_fault_in_the_captions_names_file_and_line(tmp_path: Path, lines: str, message: str) -> None:
    (tmp_path / "captions.csv").write_text(lines)
    with pytest.raises(HamnerError, match=f"captions.csv, {message}"):
        read_captions(tmp_path / "captions.csv")


# --- slides


Functions = dict[str, Callable[..., str]]


@pytest.fixture(scope="module")
def functions() -> Functions:
    return course.slide_functions(ROOT)  # type: ignore[return-value]


def test_the_lectures_ask_for_every_number_and_each_is_there(tmp_path: Path) -> None:
    lectures = course.assemble_slides(ROOT, tmp_path / "slides")
    assert [lecture.name for lecture in lectures] == ["lecture1.md", "lecture2.md"]
    for lecture in lectures:
        text = lecture.read_text(encoding="utf-8")
        assert "{{" not in text
        figures = re.findall(r"```\{image\} (\S+)\n:alt: (.+)", text)
        assert len(figures) == text.count("{image}") > 5
        assert all((lecture.parent / file).is_file() for file, _ in figures)


def test_a_number_on_a_slide_is_the_tables(functions: Functions) -> None:
    lines = list(csv.DictReader((ROOT / "data" / "tables" / "results.csv").read_text().splitlines()))
    (line,) = [
        line for line in lines if (line["corpus"], line["row"], line["protocol"]) == ("twitter2017", "full", "seqeval")
    ]
    shown = functions["f1"]("twitter2017", "full")
    assert shown == f"{100 * float(line['f1']):.1f} ± {100 * float(line['f1_sd']):.1f} ({line['seeds']})"
    assert functions["ceiling"]("no_spatial", "position") == "50"
    assert "`unrelated`" in functions["most_hurt"]("rho_one")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{{ f1("minitweets", "best") }}', r"data/tables/results.csv has 0 lines with corpus minitweets, row best"),
        ('{{ figure("curves") }}', r"no figure is called curves.*learning_curves"),
        ('{{ most_hurt("magic") }}', "no lesion magic"),
        ("{{ f2 }}", "'f2' is undefined"),
        ("{{ f1( }}", "unexpected"),
    ],
)
def test_a_slide_that_asks_for_what_is_not_there_names_file_and_line(
    tmp_path: Path, functions: Functions, line: str, message: str
) -> None:
    source = tmp_path / "lecture9.md"
    source.write_text(f"# A title\n\n{line}\n")
    with pytest.raises(HamnerError, match=rf"lecture9.md, line 3: .*{message}"):
        course.filled_in(source, functions)


@pytest.mark.parametrize("number", [1, 2])
def test_no_result_is_typed_into_a_slide(number: int) -> None:
    text = (ROOT / "docs" / "slides" / f"lecture{number}.md").read_text(encoding="utf-8")
    text = re.sub(r"\{\{.*?\}\}|:::\{revealjs-notes\}.*?:::|\$+.*?\$+", "", text, flags=re.DOTALL)
    numbers = set(re.findall(r"\d+\.\d+|\d+ ?(?:%|points)", text))
    assert numbers <= {f"{1 / (1 + math.exp(SHARPNESS)):.3f}", f"{1 / (1 + math.exp(-SHARPNESS)):.3f}"}


@pytest.mark.parametrize("number", [1, 2])
def test_the_plan_covers_each_slide_once_in_90_and_in_45_minutes(number: int) -> None:
    plan = (
        (ROOT / "docs" / "course" / "plan.md")
        .read_text(encoding="utf-8")
        .split("## Lecture ")[number]
        .split("\n## ")[0]
    )
    rows = re.findall(r"^\| [^|]+ \| (\d+)(?:-(\d+))? \| (\d+) \| (\d+) \|", plan, re.MULTILINE)
    covered = [slide for first, last, *_ in rows for slide in range(int(first), int(last or first) + 1)]
    text = (ROOT / "docs" / "slides" / f"lecture{number}.md").read_text(encoding="utf-8")
    slides = re.split(r"^#{1,2} ", text, flags=re.MULTILINE)[1:]
    assert covered == list(range(1, len(slides) + 1))
    assert (sum(int(long) for *_, long, _ in rows), sum(int(short) for *_, short in rows)) == (90, 45)
    for first, last, long, short in rows:
        of_part = slides[int(first) - 1 : int(last or first)]
        assert sum(int(minutes) for slide in of_part for minutes in re.findall(r"(\d+) minutes\.", slide)) == int(long)
        assert (int(short) == 0) == all("{{ cut }}" in slide for slide in of_part), (first, last)
    assert all("revealjs-notes" in slide for slide in slides)


def test_a_lecture_is_not_printed_without_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HamnerError, match=r"no PDF without chromedriver: install it .*\?print-pdf"):
        printing.print_slides([tmp_path / "lecture1.html"])


# --- the course


def test_each_name_of_the_notation_page_is_in_the_code() -> None:
    page = (ROOT / "docs" / "course" / "notation.md").read_text(encoding="utf-8")
    model = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "hamner" / "model").glob("*.py"))
    names = {
        part
        for row in re.findall(r"^\| .+$", page, re.MULTILINE)
        for name in re.findall(r"`([A-Za-z_][\w.]*)", row)
        if not name.endswith(".py") and "/" not in row.split(name)[1][:1]
        for part in name.split(".")
    }
    assert len(names) > 20
    for name in names - {"shape", "hamner", "score"}:
        assert re.search(rf"\b{name}\b", model), name
    for file in re.findall(r"`(model/\w+\.py)`", page):
        assert (ROOT / "hamner" / file).exists()


def test_the_glossary_names_each_term_once() -> None:
    page = (ROOT / "docs" / "course" / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^(\w.*)\n(?=  \S)", page, re.MULTILINE)
    assert len(terms) == len({term.lower() for term in terms}) > 40
    assert {"relevance", "integration", "grain", "cue", "row (of the study)", "protocol"} <= set(terms)


def geometry(*boxes: tuple[float, ...]) -> list[float]:
    return phi(torch.tensor([boxes]), torch.ones(1, 2, dtype=torch.bool))[0, 0, 1, :4].tolist()


def test_the_answers_of_the_exam_are_what_the_code_computes() -> None:
    exam = (ROOT / "docs" / "course" / "exam.md").read_text(encoding="utf-8")
    assert sum(int(points) for points in re.findall(r"^## \d+\. .+ \((\d+)\)$", exam, re.MULTILINE)) == 100
    expected = [2.5, 0.25, math.log(2), -math.log(2)]
    assert geometry((0.0, 0.0, 0.2, 0.4), (0.4, 0.2, 0.8, 0.4)) == pytest.approx(expected, abs=1e-5)
    shares = torch.tensor([[1.0, 0, 0], [1, -1, -1]]).softmax(1)[:, 0]
    for number in (*expected[:2], *shares.tolist(), 1 / (1 + math.exp(SHARPNESS))):
        assert f"{number:.3f}".rstrip("0") in exam, number
    words, regions = torch.tensor([1.0, 2]), torch.tensor([4.0, 0])
    over_regions, over_words = torch.tensor([[1, 0], [0.5, 0.5]]), torch.tensor([[0.5, 0.5], [0, 1]])
    assert (over_regions @ regions).tolist() == [4, 2]
    assert (over_regions @ (over_words @ words)).tolist() == [1.5, 1.75]


def test_the_workflow_publishes_what_make_book_builds() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert any("make book" in step.get("run", "") for step in steps)
    (upload,) = [step for step in steps if "upload-pages-artifact" in step.get("uses", "")]
    assert upload["with"]["path"] == "build/book/html"
    assert workflow["permissions"] == {"contents": "read", "pages": "write", "id-token": "write"}
