"""What `onepath doctor` asks in a process of its own, since a broken library crashes instead of raising.

`python -m runtime.doctor_probe tvm|torch` prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def tvm_facts() -> dict[str, Any]:
    """TVM works with its tvm-ffi, what LLVM calls this processor, and how quiet the machine is."""
    import tvm

    from compiler.codegen.tvm_api import known_processors, system_processor
    from runtime.device import load_average, steal_share, triple

    tvm.ir.save_json(tvm.IRModule())  # crashes with tvm-ffi 0.1.15.post1 and .post2
    cpu = system_processor()
    return {
        "llvm": tvm.target.codegen.llvm_version_major(),
        "cpu": cpu,
        "cpu_known": cpu in known_processors(triple()),
        "load": load_average(),
        "steal": steal_share(),
    }


def torch_facts() -> dict[str, Any]:
    """PyTorch computes, with how many threads, and where Fashion-MNIST is or would come from."""
    import torch

    from runtime.data import fashion_mnist
    from runtime.data.cache import cache_folder

    places = {"installed": fashion_mnist.INSTALLED, "cached": cache_folder("fashion-mnist")}
    found = [name for name, folder in places.items() if folder.is_dir() and any(folder.rglob("*.gz"))]
    return {"sum": float(torch.ones(3).sum()), "threads": torch.get_num_threads(), "fashion_mnist": found}


if __name__ == "__main__":
    print(json.dumps({"tvm": tvm_facts, "torch": torch_facts}[sys.argv[1]]()))
