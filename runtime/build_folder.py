"""The folder that a build writes to: never inside of what one wrote, held by one writer, and gone where it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runtime.files import LOCK, FileProblem, folder_lock
from runtime.standalone_folder import is_standalone


def refuse_inside_bundle(folder: Path) -> None:
    """Refuse to build in a bundle or a standalone network, or below one: its files are compared with its manifest.

    Raises:
        FileProblem: the folder, or one above it, is one.
    """
    path = folder.resolve()
    for each in (path, *path.parents):
        if all((each / name).is_file() for name in ("manifest.json", "model.so", "runner.py")):
            raise FileProblem(folder, f"is inside of the bundle {each}", "choose another folder with --out")
        if is_standalone(each):
            raise FileProblem(
                folder, f"is inside of the standalone network {each}", "choose another folder with --out"
            )


@contextmanager
def held_for_build(folder: Path) -> Iterator[None]:
    """Hold the folder as its one writer; where the build fails, the folders that were made for it go again.

    Raises:
        FileProblem: another process holds it, or it cannot be made.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    acquired = False
    try:
        with folder_lock(folder):
            acquired = True
            yield
    except BaseException:
        if acquired and made:
            (folder / LOCK).unlink(missing_ok=True)
            with suppress(OSError):
                for each in made:
                    each.rmdir()
        raise
