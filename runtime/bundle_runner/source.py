"""`runner.py` of a bundle: the modules of this package as one file, which needs no package beside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "runtime.bundle_runner"
PARTS = ("manifest", "tvm_runtime", "pinning", "pool", "model", "images", "inputs", "outputs", "command")
"""In an order in which each uses those before it."""
HEAD = '''"""Run this bundle: `python runner.py IMAGE.png` or `python runner.py ARRAY.npy`.

This one file needs Python 3.9, numpy and the two libraries in `lib/`; images but PPM and PGM need Pillow.
Every file is compared with the manifest before anything is loaded. An array of type uint8 holds pixels
and is preprocessed as the manifest says; an array of type float32 is given to the network as it is.
A `.raw` or `.bin` file is one input without a header: float32, or uint8 pixels with the channels last.
A classifier's labels are printed, or the figures of any other output; `--out y.npy` writes the outputs.
In Python: `load(folder, threads=2, cores=(0, 1)).run(values)` gives the output as the network does.
"""

from __future__ import annotations

'''


def runner_source() -> str:
    """The text of `runner.py`; the same modules give the same text."""
    texts = [(Path(__file__).parent / f"{part}.py").read_text(encoding="utf-8") for part in PARTS]
    imports = sorted({line for text in texts for line in _imports(text)}, key=_import_order)
    return HEAD + "\n".join([*imports, "", "", ""]) + "\n\n\n".join(_body(text) for text in texts) + "\n"


def _imports(text: str) -> Iterator[str]:
    """What a module imports from outside of this package, a statement a line."""
    for node in ast.parse(text).body:
        inside = isinstance(node, ast.ImportFrom) and str(node.module).startswith((PACKAGE, "__future__"))
        if isinstance(node, ast.Import | ast.ImportFrom) and not inside:
            yield ast.unparse(node)


def _import_order(line: str) -> tuple[bool, bool, str]:
    """The standard library's before numpy's, whole modules before parts of them."""
    return "numpy" in line, line.startswith("from"), line


def _body(text: str) -> str:
    """A module behind its last import."""
    last = max(
        node.end_lineno or 0 for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)
    )
    return "\n".join(text.splitlines()[last:]).strip()
