"""Two processes do what one does: the same steps, to rounding; and one that is killed ends them all, to be resumed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch.distributed import HashStore  # noqa: E402

from compiler.nets.architecture_parameters import one_hot_gates  # noqa: E402
from compiler.nets.supernet import build_supernet  # noqa: E402
from runtime.data.batches import Augmentation, Batches  # noqa: E402
from runtime.data.dataset import DataProblem  # noqa: E402
from runtime.device import cores  # noqa: E402
from runtime.events import read_events  # noqa: E402
from runtime.rank_messages import Messages, RankProblem  # noqa: E402
from runtime.ranks import ALONE, Ranks  # noqa: E402
from runtime.search.evaluators.supernet import PathTrainer  # noqa: E402
from runtime.search.options import SearchOptions  # noqa: E402
from runtime.train import read_weights  # noqa: E402
from tests.runtime.ranks_worker import CASES, digits, result  # noqa: E402
from tests.small_spaces import tiny_space  # noqa: E402

pytest.importorskip("sklearn")
pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
EQUAL = {name: 1e-5 if name == "single precision" else 1e-6 for name in CASES if name != "killed"}
"""How far from one process two may be after 20 steps, in units of 1 + the value."""


def torchrun(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *arguments]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def worker(folder: Path, *cases: str, look_every_s: float = 0.1) -> subprocess.CompletedProcess[str]:
    """Run cases in two processes, at which torchrun looks so often: it ends the other of one that is gone."""
    given = (
        "--monitor-interval",
        str(look_every_s),
        str(ROOT / "tests/runtime/ranks_worker.py"),
        str(folder),
    )
    return torchrun(*given, *cases)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    done = worker(folder, *CASES)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("case", EQUAL)
def test_two_at_half_the_batch_are_one_at_the_whole(two: Path, tmp_path: Path, case: str) -> None:
    """A batch of 65 images, of which one has 32 and the other 33, changed at random; 20 steps; then judged."""
    CASES[case](tmp_path, ALONE)
    one, other = result(tmp_path), result(two / case)
    assert one.keys() == other.keys()
    assert {"alpha", "momenta/linear.weight"} & one.keys()
    for name, tensor in one.items():
        if not name.startswith("alpha_"):
            torch.testing.assert_close(
                other[name],
                tensor,
                rtol=EQUAL[case],
                atol=EQUAL[case],
                msg=lambda text, name=name: name + text,
            )


def test_a_killed_one_ends_them_all_and_the_same_command_goes_on(two: Path, tmp_path: Path) -> None:
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed/kill").touch()
    ended = worker(tmp_path, "killed", look_every_s=5.0)
    assert ended.returncode == 1
    assert "another process of this run is gone" in ended.stderr
    assert "goes on from the last checkpoint" in ended.stderr
    assert not (tmp_path / "killed/supernet_path.safetensors").exists()
    resumed = worker(tmp_path, "killed")
    assert resumed.returncode == 0, resumed.stderr
    weights = "killed/supernet_path.safetensors"
    assert (tmp_path / weights).read_bytes() == (two / weights).read_bytes()


TEXT = """
space small {
    input [1, 8, 8]
    output [10]
    conv(8, 3) -> bn -> relu6 -> choose { a: conv(8, 1) -> bn | b: conv(8, 3) -> bn } -> global_pool -> linear(10)
}
search small { data = digits  epochs = 1  warmup = 1  batch = 64  seed = 1 }
train small { data = digits  epochs = 1  batch = 64  distill = largest(epochs = 1) }
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "small.space").write_text(TEXT)
    architecture = {"schema": "onepath.architecture/1", "space": "small", "choices": {"path": "a"}}
    (tmp_path / "a.json").write_text(json.dumps(architecture))
    return tmp_path


def test_the_command_trains_in_two(place: Path) -> None:
    """A teacher, then its student: the first process alone writes and prints, and all end with it."""
    done = torchrun("-m", "runtime", "train", "small.space", "--arch", "a.json", "--out", "out", folder=place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("accuracy_test") == 1
    assert done.stderr.count("train: test accuracy") == 1
    assert read_weights(place / "out/train/weights.safetensors")


def test_what_the_first_refuses_ends_the_others(place: Path) -> None:
    batch = ("--set", "train.batch=1", "--arch", "a.json")
    ended = torchrun("-m", "runtime", "train", "small.space", *batch, "--out", "out", folder=place)
    assert ended.returncode == 1
    assert "onepath: a batch of 1 images is too small for 2 processes" in ended.stderr


@pytest.mark.slow
@pytest.mark.tvm
def test_the_command_searches_in_two(place: Path) -> None:
    records = ("--records", "records.db", "--set", "profile_budget=5 s")
    done = torchrun("-m", "runtime", "search", "small.space", "--out", "out", *records, folder=place)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("search: done") == 1
    assert (place / "out/architecture.json").is_file()
    plan = next(read_events(place / "out/search/search.jsonl"))
    assert (plan["processes"], plan["threads"]) == (2, max(1, len(cores()) // 2))


def test_lower_precision_reaches_candidates_that_are_run_again(tmp_path: Path) -> None:
    """What a GPU does by autocast, here on a CPU: the backward pass of a gate runs outside of it."""
    CASES["single precision"](tmp_path, Ranks(precision=torch.bfloat16))
    assert all(bool(tensor.isfinite().all()) for tensor in result(tmp_path).values())
    assert result(tmp_path)["weights/conv1.weight"].dtype == torch.float32


def test_all_of_a_step_is_on_the_device() -> None:
    """PyTorch's meta device computes shapes alone, and refuses tensors of another device."""
    meta = Ranks(device=torch.device("meta"))
    trainer = PathTrainer(build_supernet(tiny_space()), digits(False), SearchOptions(), None, meta)
    images, labels = trainer.batches[0]
    paths, compared = (0, 1, 0), [range(size) for size in trainer.supernet.candidates]
    loss = torch.nn.functional.cross_entropy(trainer.supernet.logits(images, paths), labels)
    trainer.optimiser.descend(loss, trainer.supernet.path_parameters(paths), 0.1)
    gates = one_hot_gates(compared, paths, images.device)
    logits = trainer.supernet.gated_logits(images, paths, compared, gates)
    gradients = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), gates)
    assert all(each.is_meta for each in (*gradients, *trainer.supernet.state_dict().values()))
    assert all(tensor.is_meta for tensor in trainer.optimiser.momenta.values())


def test_shares_of_a_batch() -> None:
    ranks = [Ranks(rank, 3) for rank in range(3)]
    assert [list(range(10))[each.own(10)] for each in ranks] == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    assert sum(each.weight(10) for each in ranks) == pytest.approx(3)
    assert ALONE.weight(7) == 1
    data = digits()
    augmentation = Augmentation(1, True, 0.3, 2, 0.2)
    whole = Batches(data.train, data.preprocessing, 10, 0, "a", augmentation)
    parts = [Batches(data.train, data.preprocessing, 10, 0, "a", augmentation, each)[3] for each in ranks]
    for place in range(2):
        assert torch.equal(torch.cat([part[place] for part in parts]), whole[3][place])
    with pytest.raises(DataProblem, match="too small for 3 processes"):
        Batches(data.train, data.preprocessing, 2, 0, "a", ranks=ranks[0])


def test_what_processes_tell_each_other() -> None:
    store = HashStore()
    first, second = Messages(store), Messages(store)
    first.tell(["train", True, False])
    assert second.hear() == ["train", True, False]
    first.failed(0, ValueError("the disk is full"))
    first.failed(1, ValueError("an error that followed"))
    with pytest.raises(RankProblem, match="rank 0 ended: the disk is full"):
        second.hear()
