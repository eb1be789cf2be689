"""Classes from outside the package: a fusion or a source of visual features of one's own, loaded by name.

A name is one of

    umt                    comes with the package, or is registered by an installed one (entry points)
    my_module:MyFusion     a class of a module in the current folder, or of an installed one
    models/mine.py:MyFusion  a class of a file

A run records the SHA-256 of the file. A file in a folder is read again whenever its bytes have changed, and before any
of its code runs, a run that was trained with other bytes is refused.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points, packages_distributions, version
from pathlib import Path
from types import ModuleType

from hamner.errors import HamnerError, nearest
from hamner.files import file_sha256

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""What a name without a colon may be: it also names the run's folder and its row in the tables."""


class ExtensionError(HamnerError):
    """A class from outside the package cannot be found, loaded or used, or has changed."""


@dataclass(frozen=True)
class Extension:
    """Where a class comes from, known before any of its code runs.

    name     as it was given
    module   the module's name
    attribute the class's name
    file     the module's file
    loose    whether the file lies in a folder of the user's, and is no installed module
    version  of the installed package that brings it; "" for a file in a folder
    """

    name: str
    module: str
    attribute: str
    file: Path
    loose: bool
    version: str = ""

    @property
    def sha256(self) -> str:
        """SHA-256 of the module's file."""
        return file_sha256(self.file)

    def to_dict(self) -> dict[str, str]:
        """The same for a run's record."""
        return {"name": self.name, "module": self.module, "version": self.version, "sha256": self.sha256}


def short_name(name: str) -> str:
    """The name of a class in tables and folders: that of the class, or the registered name."""
    return name.rpartition(":")[2]


def syntax_fault(name: str) -> str | None:
    """What is wrong with the form of a name, or None."""
    place, colon, attribute = name.rpartition(":")
    if not colon:
        return None if NAME.fullmatch(name) else "a name consists of letters, digits, `_`, `.` and `-`"
    if not attribute.isidentifier():
        return f"{attribute!r} is no name of a class: write module:Class, or folder/file.py:Class"
    if not place.endswith(".py") and not all(part.isidentifier() for part in place.split(".")):
        return f"{place!r} is no name of a module: write module:Class, or folder/file.py:Class"
    return None


def locate(name: str, kind: str, known: Mapping[str, str]) -> Extension:
    """Find the class called `name` without running its code.

    Args:
        name: see the module's docstring
        kind: fusion or source, for messages; entry points are those of the group `hamner.fusions` or `hamner.sources`
        known: name -> module:Class of those that come with the package

    Raises ExtensionError, with the nearest names, if there is none.
    """
    if fault := syntax_fault(name):
        raise ExtensionError(f"{kind} {name!r}: {fault}")
    if name in known:
        return _of_module(name, *known[name].split(":"))
    if ":" not in name:
        registered = {point.name: point for point in entry_points(group=f"hamner.{kind}s")}
        if name not in registered:
            raise ExtensionError(
                f"no {kind} is called {name!r}{nearest(name, (*known, *registered))}; for one of your own write "
                "module:Class, or folder/file.py:Class"
            )
        return _registered(registered[name])
    place, _, attribute = name.rpartition(":")
    if place.endswith(".py"):
        if not os.path.isfile(place):
            raise ExtensionError(f"{kind} {name!r}: there is no file {os.path.abspath(place)}")
        return Extension(name, Path(place).stem, attribute, Path(place).absolute(), loose=True)
    beside = Path(*place.split(".")).with_suffix(".py")
    if beside.is_file():
        return Extension(name, place, attribute, beside.absolute(), loose=True)
    return _of_module(name, place, attribute)


def _registered(point: EntryPoint) -> Extension:
    found = _of_module(point.name, point.module, point.attr)
    return found if point.dist is None else Extension(**(vars(found) | {"version": point.dist.version}))


def _of_module(name: str, module: str, attribute: str) -> Extension:
    """The class of an installed module."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # a parent package that is missing, or a module without a spec
        spec = None
    if spec is None or spec.origin is None or not os.path.isfile(spec.origin):
        raise ExtensionError(
            f"{name!r} needs the module {module!r}, which is neither in {Path.cwd()} nor installed: start in its "
            "folder, or install it"
        )
    top = module.partition(".")[0]
    packages = () if top == "hamner" else packages_distributions().get(top, ())
    of_package = version(packages[0]) if packages else ""
    return Extension(name, module, attribute, Path(spec.origin), loose=False, version=of_package)


def load(extension: Extension, base: type) -> type:
    """The class itself, which must be a subclass of `base`; this runs its module's code.

    Raises ExtensionError if the module cannot be imported, or has no such class.
    """
    module = _loose(extension) if extension.loose else importlib.import_module(extension.module)
    found = getattr(module, extension.attribute, None)
    if found is None:
        classes = [name for name, value in vars(module).items() if isinstance(value, type)]
        raise ExtensionError(f"{extension.file} has no {extension.attribute!r}{nearest(extension.attribute, classes)}")
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ExtensionError(
            f"{extension.attribute} of {extension.file} is no {base.__module__.partition('.')[0]} {base.__name__}: "
            f"write `class {extension.attribute}({base.__name__})`"
        )
    return found


def _loose(extension: Extension) -> ModuleType:
    """The module of a file in a folder; loaded once for the same bytes, and again once they have changed."""
    name = f"{extension.module.rpartition('.')[2]}_{extension.sha256[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, extension.file)
    if spec is None or spec.loader is None:
        raise ExtensionError(f"{extension.file} is no Python module: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    folder = str(extension.file.parent)
    sys.path.append(folder)  # for what the file imports from its own folder
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(extension.file)]
        line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else (lines or [None])[-1]
        where = extension.file if line is None else f"{extension.file}:{line}"
        raise ExtensionError(f"{where}: cannot be imported ({type(error).__name__}: {error})") from error
    finally:
        sys.path.remove(folder)
    return module
