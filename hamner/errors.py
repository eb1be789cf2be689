"""The base class of every error that a user can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from hamner.escape import one_line, shortened


class HamnerError(Exception):
    """A mistake that the user can mend; the message says what is wrong, where, and what to do.

    The command line prints the message alone and exits with status 1, without a traceback. Messages quote files, so
    each is one line without control characters, and is cut in its middle when it is long (`hamner.escape`).
    """

    def __init__(self, message: str) -> None:
        super().__init__(shortened(one_line(message)))


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of an error about an unknown name: the nearest known ones, if any is near, and all of them."""
    every = list(names)
    near = difflib.get_close_matches(name, every, n=2, cutoff=0.6)
    begin = f": did you mean {' or '.join(near)}? There" if near else "; there"
    return f"{begin} are {', '.join(every)}"
