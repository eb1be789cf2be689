"""The site: pages that Sphinx reads, assembled from the executed notebooks, the docs and the figures.

Nothing is executed. The contents are the notebooks and pages that exist; docs/book holds the settings and the first
page. Captions and alt texts come from figures/captions.csv, and the addresses behind the buttons from the repository.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from PIL import Image

from hamner.drawing.captions import Caption, read_captions
from hamner.errors import HamnerError
from hamner.files import read_text, written_whole
from hamner.reproduction.numbering import NUMBER, number_of, numbered

THEME_OPTIONS = "HAMNER_THEME_OPTIONS"
"""Environment variable through which conf.py learns the addresses behind the buttons, as JSON."""

QUIZ = "docs/course/quiz"
"""Folder of the quizzes, one for each notebook under the notebook's name, and of README.md, their first page."""

_MENTION = re.compile(rf"(?P<before>\b[Nn]otebooks? )(?P<numbers>{NUMBER}(?:(?:, | and | to ){NUMBER})*)\b")
_CODE_OR_LINK = re.compile(r"(`[^`]*`|\[[^\]]*\]\([^)]*\)|\$[^$\n]+\$)")
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
_FIGURE = re.compile(r"figures/(\w+)\.png")
_CAPTION = re.compile(r"\*[^*].*?[^*]\*(\n\n|\Z)", re.DOTALL)
_FORGE = re.compile(r"(?:github|gitlab)\.com[:/][\w.-]+/[\w.-]+?(?=(?:\.git)?/?$)")


class Repository(NamedTuple):
    """Where the project lies on GitHub or GitLab: its address, and the branch that pages link to."""

    url: str
    branch: str


def repository_of(folder: Path, named: str | None = None, branch: str = "main") -> Repository | None:
    """The repository that `named` is the address of; without it, the one that the checkout was cloned from.

    Returns None if the checkout has no remote called origin on GitHub or GitLab. Login names and tokens are left out.

    Raises:
        HamnerError: `named` is no address of a repository on GitHub or GitLab.
    """
    address = named
    if address is None:
        command = ["git", "-C", str(folder), "remote", "get-url", "origin"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:  # there is no git
            return None
        address = done.stdout.strip()
    found = _FORGE.search(address)
    if found is None and named is not None:
        raise HamnerError(f"{named}: name a repository as https://github.com/OWNER/NAME (or gitlab.com)")
    return None if found is None else Repository("https://" + found[0].replace(":", "/"), branch)


def site_notebooks(root: Path) -> list[Path]:
    """The executed notebooks: the numbered ones (00, ..., 03, 03b, ...), then the tracks with a letter (b1, ...)."""
    found = numbered((root / "notebooks").glob("*.ipynb"))
    if not found:
        raise HamnerError(f"{root / 'notebooks'}: no notebook NN_name.ipynb; run this from a checkout of the project")
    return found


def assemble(root: Path, folder: Path, repository: Repository | None) -> None:
    """Write the sources of the site into `folder`, in the places that they have in the repository.

    Args:
        root: the project.
        folder: emptied first.
        repository: None leaves out buttons, and links to files that are not part of the site become plain text.

    Raises:
        HamnerError: a file cannot be read or written, or images have no alt text; the message names notebook and cell.
    """
    shutil.rmtree(folder, ignore_errors=True)
    notebooks, captions = site_notebooks(root), read_captions(root / "figures" / "captions.csv")
    places = ("docs", "docs/course", QUIZ)
    pages = [path for place in places for path in sorted((root / place).glob("*.md"))]
    pages = [page for page in pages if page.stem != "exam"]  # it has the answers: read it in the repository
    pages.sort(key=lambda page: page.stem != "plan")  # the plan comes before what it names
    numbers = {number_of(path): path.name for path in notebooks}
    problems: list[str] = []
    shown: set[str] = set()  # a figure has its number and its name where it is shown first
    for path in notebooks:
        notebook = nbformat.reads(read_text(path), as_version=4)
        problems += [f"{path.stem}: {problem}" for problem in prepare(notebook, captions, numbers, repository, shown)]
        if (quiz := root / QUIZ / f"{path.stem}.md") in pages:
            link = f"**Quiz.** [Eight questions about this notebook](../{QUIZ}/{quiz.name}), with their answers."
            notebook.cells.append(new_markdown_cell(link, id="quiz"))
        _write(folder / "notebooks" / path.name, nbformat.writes(notebook))
    if problems:
        raise HamnerError(f"notebooks have {len(problems)} images without alt text: {'; '.join(problems)}")
    inside = {path.relative_to(root).as_posix() for path in (*notebooks, *pages)}
    for page in pages:
        text = relinked(read_text(page), page.relative_to(root), root, inside, repository)
        if page.is_relative_to(root / "docs" / "course"):
            up = "../" * (len(page.relative_to(root).parts) - 1)
            text = with_links(text, {number: f"{up}notebooks/{name}" for number, name in numbers.items()})
        if page == root / QUIZ / "README.md":
            text += "\n" + toctree([other.stem for other in pages if other.parent == page.parent and other != page])
        _write(folder / page.relative_to(root), text)
    shutil.copytree(root / "figures", folder / "figures", ignore=shutil.ignore_patterns("*.md", "*.csv", "*.svg"))
    first = read_text(root / "docs" / "book" / "index.md")
    for name, caption in captions.items():
        first = first.replace(f"{{alt of {name}}}", caption.alt).replace(f"{{caption of {name}}}", caption.text)
    _write(folder / "index.md", first + contents(notebooks, pages))
    _write(folder / "figure_list.md", figure_list(captions, shown))


def contents(notebooks: Sequence[Path], pages: Sequence[Path]) -> str:
    """The tables of contents: numbered notebooks, the tracks with a letter, the course, the reference pages.

    Of the quizzes only their first page is listed. It has its own table of the others.
    """
    main = [path for path in notebooks if number_of(path)[0].isdigit()]
    course = [page for page in pages if page.parent.name == "course"]
    quizzes = [page for page in pages if page.parent.name == "quiz"]
    parts = {
        "Notebooks": [f"notebooks/{path.stem}" for path in main],
        "Build the model yourself": [f"notebooks/{path.stem}" for path in notebooks if path not in main],
        "Course": [f"docs/course/{page.stem}" for page in course] + [f"{QUIZ}/README"] * bool(quizzes),
        "Reference": [f"docs/{page.stem}" for page in pages if page not in (*course, *quizzes)] + ["figure_list"],
    }
    return "\n" + "\n".join(toctree(names, title) for title, names in parts.items() if names)


def toctree(names: Sequence[str], caption: str | None = None) -> str:
    """A hidden table of contents, as Sphinx reads it in a page: `names` from the page's folder."""
    title = [f":caption: {caption}"] if caption else []
    return "\n".join(["```{toctree}", ":hidden:", *title, "", *names, "```", ""])


def figure_list(captions: Mapping[str, Caption], shown: set[str]) -> str:
    """A page that links every numbered figure of the notebooks, in words."""
    lines = [f"- {{numref}}`fig-{name}`. {captions[name].text}" for name in captions if name in shown]
    return "\n".join(["# Figures", "", *lines, ""])


def prepare(
    notebook: NotebookNode,
    captions: Mapping[str, Caption],
    numbers: Mapping[str, str],
    repository: Repository | None,
    shown: set[str],
) -> list[str]:
    """Change an executed notebook into a page: figures with captions, solutions folded, notebooks linked.

    Args:
        notebook: changed in place.
        captions: by figure.
        numbers: number of a notebook -> its file, for links.
        repository: fills in the address that the installing cell asks for.
        shown: figures that other pages showed before; takes up those of this one.

    Returns:
        The images without alt text, by code cell.
    """
    problems: list[str] = []
    caption_follows = False
    code_cells = 0
    for cell in notebook.cells:
        if cell.cell_type != "code":
            if caption_follows:
                cell.source = _CAPTION.sub("", cell.source, count=1) if cell.source.startswith("*") else cell.source
            cell.source = with_links(cell.source, numbers)
            caption_follows = False
            continue
        code_cells += 1
        tags = cell.metadata.get("tags", [])
        folded = "Solution" if "solution" in tags else "Installation" if "install" in tags else None
        settings: dict[str, Any] = {}
        if folded:
            cell.metadata["tags"] = [*tags, "hide-cell"]
            settings |= {"code_prompt_show": folded, "code_prompt_hide": folded}
        if "install" in tags and repository is not None:
            cell.source = cell.source.replace('REPOSITORY = ""', f'REPOSITORY = "{repository.url}"')
        for output in cell.outputs:
            kind = next((kind for kind in output.get("data", {}) if kind.startswith("image/")), None)
            if kind is None:
                continue
            if kind == "image/webp":  # Sphinx knows no WebP in a notebook
                output.data = {"image/png": as_png(output.data[kind])}
                output.metadata = {"image/png": output.metadata.pop(kind, {})}
                kind = "image/png"
            name = _FIGURE.search("".join(output.data.get("text/plain", "")))
            if name and name[1] in captions:
                caption = captions[name[1]]
                settings |= {"figure": {"caption": caption.text}, "image": {"alt": caption.alt}}
                if name[1] not in shown:
                    settings["figure"]["name"] = f"fig-{name[1]}"
                    shown.add(name[1])
                caption_follows = True
            else:
                alt = output.get("metadata", {}).get(kind, {}).get("alt")
                if not alt:
                    problems.append(
                        f'the image of code cell {code_cells} has no alt text: Image(..., alt="..."), or save(...)'
                    )
                settings["image"] = {"alt": alt or f"Output of {cell.source.splitlines()[-1]}"}
        if settings:
            cell.metadata["mystnb"] = settings
    return problems


def as_png(image: str) -> str:
    """An image in base64, in any format that Pillow reads, as PNG in base64."""
    png = BytesIO()
    with Image.open(BytesIO(base64.b64decode(image))) as opened:
        opened.save(png, "png")
    return base64.b64encode(png.getvalue()).decode()


def with_links(text: str, numbers: Mapping[str, str]) -> str:
    """Link each "notebook 03" and "notebooks 03 and 09", and the numbers in the first column of a table."""

    def link(number: str) -> str:
        return f"[{number}]({numbers[number]})" if number in numbers else number

    def linked(numbers_in_text: str) -> str:
        return re.sub(rf"{NUMBER}\b", lambda found: link(found[0]), numbers_in_text)

    lines: list[str] = []
    fence = ""  # the line that opened the code that we are in
    for line in text.split("\n"):
        if line.startswith("```"):
            fence = "" if fence else line
        if (fence and fence != "```{glossary}") or line.startswith("    "):
            lines.append(line)
            continue
        if row := re.match(rf"\| (?={NUMBER}\b)([a-z\d, ]+?)(?= \|)", line):
            line = f"| {linked(row[1])}{line[row.end() :]}"
        parts = _CODE_OR_LINK.split(line)
        parts[::2] = [
            _MENTION.sub(lambda found: found["before"] + linked(found["numbers"]), part) for part in parts[::2]
        ]
        lines.append("".join(parts))
    return "\n".join(lines)


def relinked(text: str, page: Path, root: Path, inside: set[str], repository: Repository | None) -> str:
    """Point links to files that the site lacks at the repository; without a repository leave their words alone.

    Args:
        text: the page in Markdown.
        page: its path in the project.
        root: the project.
        inside: the pages and notebooks of the site, as paths in the project.
        repository: where the other files can be read.
    """

    def link(found: re.Match[str]) -> str:
        target = (root / page.parent / found["target"]).resolve()
        if not target.is_relative_to(root.resolve()):
            return found["text"]
        path = target.relative_to(root.resolve()).as_posix()
        if path in inside:
            return found[0]
        if repository is None:
            return found["text"]
        kind = "tree" if target.is_dir() else "blob"
        return f"[{found['text']}]({repository.url}/{kind}/{repository.branch}/{path}{found['anchor'] or ''})"

    return _LINK.sub(link, text)


def build(settings: Path, sources: Path, target: Path, builder: str, options: Mapping[str, Any] | None = None) -> None:
    """Run Sphinx without a network: pages from `sources` into `target`, with the conf.py of the folder `settings`.

    Args:
        settings: a folder with a conf.py.
        sources: what `assemble` wrote.
        target: emptied first, so that no page of an earlier build stays.
        builder: "html" or "revealjs".
        options: of the theme, beside those of conf.py.

    Raises:
        HamnerError: Sphinx is not installed, or a page has a fault, such as a broken link.
    """
    if find_spec("sphinx") is None:
        raise HamnerError("sphinx is missing: `make book` installs it, from site.txt")
    shutil.rmtree(target, ignore_errors=True)
    log = sources.parent / f"{builder}.log"
    command = [sys.executable, "-m", "sphinx", "--builder", builder, "--conf-dir", str(settings), "--fresh-env"]
    command += ["--doctree-dir", str(sources.parent / f"{builder}.doctrees"), "--no-color", "--quiet"]
    environment = {**os.environ, THEME_OPTIONS: json.dumps(options or {})}
    with log.open("w", encoding="utf-8") as said:  # a process of its own: Sphinx keeps settings of an earlier build
        done = subprocess.run([*command, str(sources), str(target)], env=environment, stdout=said, stderr=said)
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    if done.returncode or lines:
        first = lines[0] if lines else f"Sphinx ended with {done.returncode}"
        raise HamnerError(f"the pages have {max(len(lines), 1)} faults, listed in {log}; the first: {first}")


def buttons(repository: Repository | None) -> dict[str, Any]:
    """Options of the theme for the buttons: the repository, Binder and Colab; none without a repository."""
    if repository is None:
        return {}
    colab = {"colab_url": "https://colab.research.google.com"} if "github.com" in repository.url else {}
    launch = {"notebook_interface": "jupyterlab", "binderhub_url": "https://mybinder.org"} | colab
    return {
        "repository_url": repository.url,
        "repository_branch": repository.branch,
        "use_repository_button": True,
        "launch_buttons": launch,
    }


BADGES = re.compile(r"(?<=<!-- badges -->\n).*?(?=<!-- end of badges -->)", re.DOTALL)
"""The place of README.md that `hamner badges` writes."""


def badges(readme: Path, repository: Repository) -> None:
    """Write badges into `readme` that open the notebooks of `repository` in Binder and, if it is on GitHub, in Colab.

    Raises:
        HamnerError: `readme` has no place for them.
    """
    forge, name = repository.url.removeprefix("https://").split("/", 1)
    code = {"github.com": "gh"}.get(forge, "gl")
    path = quote(name, safe="/" if code == "gh" else "")
    binder = f"https://mybinder.org/v2/{code}/{path}/{repository.branch}?urlpath=lab/tree/notebooks/00_quickstart.ipynb"
    lines = f"[![Binder](https://mybinder.org/badge_logo.svg)]({binder})\n"
    if code == "gh":
        colab = "https://colab.research.google.com"
        notebook = f"github/{name}/blob/{repository.branch}/notebooks/00_quickstart.ipynb"
        lines += f"[![Colab]({colab}/assets/colab-badge.svg)]({colab}/{notebook})\n"
    text, places = BADGES.subn(lambda found: lines, read_text(readme))
    if places != 1:
        raise HamnerError(f"{readme}: put the lines <!-- badges --> and <!-- end of badges --> where the badges belong")
    with written_whole(readme) as file:
        file.write_text(text, encoding="utf-8")


def copy_mathjax(folder: Path) -> None:
    """Copy MathJax with its fonts into `folder`, so that equations need no network.

    Only the build that conf.py names, and what it loads. Raises HamnerError if the package is missing.
    """
    package = find_spec("sphinx-mathjax-offline")
    if package is None or package.origin is None:
        raise HamnerError("sphinx-mathjax-offline is missing: `make book` installs it, from site.txt")
    others = shutil.ignore_patterns(
        "*-svg*.js", "svg", "svg.js", "mml-*.js", "*-full*.js", "*-mml-*.js", "node-main.js"
    )
    shutil.copytree(Path(package.origin).parent / "static" / "mathjax", folder, ignore=others, dirs_exist_ok=True)


def _write(path: Path, text: str) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
