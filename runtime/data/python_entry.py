"""Data from a Python function: `module:function`, from the folder of the space's file or an installed package.

The function runs in this process, with its rights: as any Python file, a space with such a source is for those
who trust it. Only commands that need data call it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from runtime.data.arrays import ARRAYS, raw_of
from runtime.data.dataset import DataProblem, Raw


def load_python(entry: str, folder: Path, path: Path | None = None) -> Raw:
    """What `module:function` gives: a mapping of `x_train`, `y_train`, `x_test`, `y_test`, and `classes` if wanted.

    It is called without arguments, or with the `path` given. `raw_of` says what the arrays must be; anything that
    NumPy makes an array of will do.

    Raises:
        DataProblem: there is no such module or function, it failed, or what it gave is not of this form.
    """
    module = entry.partition(":")[0]
    with importing_from(folder):
        function = entry_function(entry, folder)
        try:
            found = function() if path is None else function(path)
        except (Exception, SystemExit) as problem:
            raise failed(entry, problem, folder) from problem
    if not isinstance(found, Mapping):
        way_out = f"return a dict of {', '.join(ARRAYS)}"
        raise DataProblem(f"`{entry}` returned {type(found).__name__}, no dict", way_out)
    return raw_of(
        module.rpartition(".")[2], f"`{entry}`", {key: _array(entry, key, found[key]) for key in found}
    )


def entry_function(entry: str, folder: Path) -> Callable[..., Any]:
    """The function of `module:function`, whose module is a file of `folder` or installed.

    Raises:
        DataProblem: there is none, or its module failed.
    """
    module, _, name = entry.partition(":")
    return _function(_imported(module, folder), name, entry)


@contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Let imports look into `folder` first."""
    place = str(folder.absolute())
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)


def _imported(module: str, folder: Path) -> ModuleType:
    """The module; a file of the folder is run anew, under a name that no other module has."""
    file = folder.absolute() / f"{module}.py"
    try:
        if not file.is_file():
            return importlib.import_module(module)
        spec = importlib.util.spec_from_file_location(f"onepath_entry_{module}", file)
        assert spec is not None
        assert spec.loader is not None
        made = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return made
    except ModuleNotFoundError as problem:
        if problem.name not in (module, module.partition(".")[0]):
            raise failed(module, problem, folder) from problem
        way_out = f"write {module}.py into {folder}, or install its package"
        raise DataProblem(f"there is no module `{module}`", way_out) from None
    except (Exception, SystemExit) as problem:
        raise failed(module, problem, folder) from problem


def _function(module: ModuleType, name: str, entry: str) -> Callable[..., Any]:
    found = getattr(module, name, None)
    if not callable(found):
        what = "is no function" if found is not None else "is not there"
        raise DataProblem(
            f"`{name}` of `{entry}` {what}", f"define it in {module.__file__ or module.__name__}"
        )
    return found  # type: ignore[no-any-return]


def failed(what: str, problem: BaseException, folder: Path) -> DataProblem:
    """The user's own exception, in its own words, with the last place in the folder's code that it left."""
    frames = traceback.extract_tb(problem.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder.absolute())]
    last = (own or frames)[-1]
    place = f"{last.filename}, line {last.lineno}"
    if isinstance(problem, SyntaxError):
        place = f"{problem.filename}, line {problem.lineno}"
    said = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
    return DataProblem(f"`{what}` failed with {said}", f"see {place}")


def _array(entry: str, key: str, value: Any) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as problem:
        raise DataProblem(f"`{entry}`: `{key}` is no array ({problem})", "make it one with NumPy") from None
