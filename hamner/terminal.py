"""What hamner's commands print: every line goes out through `echo` or `console`, so that no text steers a terminal."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from hamner.escape import visible

if TYPE_CHECKING:
    from tqdm import tqdm


def echo(text: str = "", *, end: str = "\n", error: bool = False) -> None:
    """Print text to standard output, or to standard error, its control characters as escapes."""
    print(visible(text), end=end, file=sys.stderr if error else sys.stdout, flush=True)


def echo_json(values: Any, indent: int | None = 2) -> None:
    r"""Print values as JSON in ASCII: `\u` escapes survive every encoding and hold no control character."""
    echo(json.dumps(values, indent=indent, ensure_ascii=True))


class SafeConsole(Console):
    """A rich console that shows strings as they are: no markup, no `:emoji:`, control characters as escapes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as `Text`; rich measures and prints cells, titles and lines through this method."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is printed of a renderable; ready-made `Text` did not pass `render_str`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def survive_any_encoding() -> None:
    r"""Let standard output and error print what their encoding lacks as escapes, `\U0001f602`, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _in_a_kernel() -> bool:
    """Whether this process is a notebook's kernel; other processes, too, import parts of ipykernel."""
    application = sys.modules.get("ipykernel.kernelapp")
    return application is not None and application.IPKernelApp.initialized()


def progress_bar(
    items: Iterable[Any] | None = None, *, counts: str, unit: str, shown: bool = True, **options: Any
) -> tqdm:
    """A tqdm bar on standard error that says what it `counts`, `unit` by unit.

    It stays silent unless somebody watches: standard error is a terminal, or the process is a notebook's kernel.
    """
    from tqdm.auto import tqdm  # here, because a mistyped command needs no bar

    watched = sys.stderr.isatty() or _in_a_kernel()
    return tqdm(items, desc=visible(counts), unit=unit, disable=not (shown and watched), **options)
