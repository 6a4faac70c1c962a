"""Each source reads what it should, and says what is wrong with what it cannot read."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from runtime.data import fashion_mnist  # noqa: E402
from runtime.data.cifar10 import load_cifar10  # noqa: E402
from runtime.data.dataset import DataProblem  # noqa: E402
from runtime.data.digits import load_digits  # noqa: E402
from runtime.data.image_folder import load_image_folder  # noqa: E402
from runtime.data.load import DataSource, load  # noqa: E402
from runtime.data.npz import load_npz  # noqa: E402

pytestmark = pytest.mark.torch


def random_images(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def write_npz(path: Path, **changes: object) -> Path:
    arrays = {
        "x_train": random_images(40, 6, 6),
        "y_train": np.arange(40) % 4,
        "x_test": random_images(8, 6, 6),
        "y_test": np.arange(8) % 4,
    }
    np.savez(path, **{name: array for name, array in (arrays | changes).items() if array is not None})
    return path


def test_npz_gives_its_images(tmp_path: Path) -> None:
    raw = load_npz(write_npz(tmp_path / "own.npz", classes=np.array(list("abcd"))))
    assert raw.classes == ("a", "b", "c", "d")
    assert raw.train.pixels.shape == (40, 6, 6, 1)
    assert np.array_equal(raw.train.pixels[..., 0].numpy(), random_images(40, 6, 6))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x_test": None}, "lacks x_test"),
        ({"x_train": random_images(40, 6, 6).astype(np.float32)}, "give images as uint8"),
        ({"x_train": random_images(40, 6, 6, 2)}, "images of shape"),
        ({"y_train": np.zeros((40, 4))}, "one integer for each image"),
        ({"x_test": random_images(8, 5, 5)}, "differ in size"),
        ({"y_train": np.array([object()], dtype=object)}, "cannot be read"),
    ],
)
def test_npz_says_what_is_wrong(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    path = write_npz(tmp_path / "own.npz", **changes)
    with pytest.raises(DataProblem, match=said):
        load_npz(path)


@pytest.mark.parametrize("labels", [np.arange(30) % 4, np.arange(40) % 4 - 1])
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, labels: np.ndarray) -> None:
    path = write_npz(tmp_path / "own.npz", y_train=labels, classes=np.array(list("abcd")))
    with pytest.raises(DataProblem):
        load(DataSource("npz", path))


@pytest.mark.parametrize("part", ["y_train", "y_test"])
@pytest.mark.parametrize("label", [100_000, 10**10, 2**62])
def test_a_label_beyond_all_classes_costs_no_memory(tmp_path: Path, part: str, label: int) -> None:
    labels = np.arange(40 if part == "y_train" else 8) % 4
    labels[3] = label
    for classes in (None, np.array(list("abcd"))):
        path = write_npz(tmp_path / "own.npz", **{part: labels, "classes": classes})
        with pytest.raises(DataProblem, match=r"less than 100,000|not from 0 to 3"):
            load(DataSource("npz", path))


@pytest.mark.parametrize("part", ["train", "test"])
def test_no_images_are_told(tmp_path: Path, part: str) -> None:
    nothing = {f"x_{part}": random_images(0, 6, 6), f"y_{part}": np.zeros(0, int)}
    with pytest.raises(DataProblem, match=r"there are no labels|no test images"):
        load(DataSource("npz", write_npz(tmp_path / "own.npz", **nothing)))


def test_digits() -> None:
    raw = load_digits()
    assert len(raw.train.labels) + len(raw.test.labels) == 1797
    assert load_digits(28).train.pixels.shape[1:] == (28, 28, 1)
    assert raw.train.pixels.max() == 255


def write_binary(path: Path, labels: np.ndarray, pixels: np.ndarray) -> None:
    planes = pixels.transpose(0, 3, 1, 2).reshape(len(labels), -1)
    path.write_bytes(np.concatenate([labels[:, None].astype(np.uint8), planes], 1).tobytes())


def test_cifar10_binary(tmp_path: Path) -> None:
    pixels, labels = random_images(60, 32, 32, 3), np.arange(60) % 10
    for number in range(5):
        part = slice(10 * number, 10 * number + 10)
        write_binary(tmp_path / f"data_batch_{number + 1}.bin", labels[part], pixels[part])
    write_binary(tmp_path / "test_batch.bin", labels[50:], pixels[50:])
    raw = load_cifar10(tmp_path)
    assert np.array_equal(raw.train.pixels.numpy(), pixels[:50])
    assert np.array_equal(raw.test.labels.numpy(), labels[50:])
    (tmp_path / "test_batch.bin").write_bytes(b"\0" * 5000)
    with pytest.raises(DataProblem, match="3073-byte records"):
        load_cifar10(tmp_path)


def write_tiles(folder: Path) -> np.ndarray:
    pixels = random_images(70, 32, 32, 3)
    meta: dict[str, object] = {"classes": [f"class {label}" for label in range(10)]}
    for part, images in (("train", pixels[:50]), ("test", pixels[50:])):
        padded = np.zeros((64, 32, 32, 3), np.uint8)
        padded[: len(images)] = images
        tile = padded.reshape(2, 32, 32, 32, 3).transpose(0, 2, 1, 3, 4).reshape(64, 1024, 3)
        Image.fromarray(tile).save(folder / f"{part}_00.webp", lossless=True)
        np.save(folder / f"{part}_labels.npy", np.arange(len(images)) % 10)
        meta[part] = {"n": len(images), "sha256_pixels": hashlib.sha256(images.tobytes()).hexdigest()}
    (folder / "meta.json").write_text(json.dumps(meta))
    return pixels


def test_cifar10_tiles(tmp_path: Path, own_cache: Path) -> None:
    pixels = write_tiles(tmp_path)
    for _ in range(2):
        raw = load_cifar10(tmp_path)
        assert np.array_equal(raw.train.pixels.numpy(), pixels[:50])
        assert np.array_equal(raw.test.pixels.numpy(), pixels[50:])
    (cache,) = own_cache.rglob("*.safetensors")
    cache.write_bytes(cache.read_bytes()[:-5])
    assert np.array_equal(load_cifar10(tmp_path).train.pixels.numpy(), pixels[:50])


def test_changed_tiles_are_refused(tmp_path: Path, own_cache: Path) -> None:
    write_tiles(tmp_path)
    Image.fromarray(random_images(64, 1024, 3)).save(tmp_path / "test_00.webp", lossless=True)
    with pytest.raises(DataProblem, match="not what meta"):
        load_cifar10(tmp_path)


@pytest.mark.data
def test_cifar10_as_it_is(shared_data: Path) -> None:
    raw = load_cifar10(shared_data / "cifar10")
    assert torch.bincount(raw.train.labels).tolist() == [5000] * 10
    assert torch.bincount(raw.test.labels).tolist() == [1000] * 10


def write_folder(folder: Path, classes: str, count: int) -> None:
    for number, pixels in enumerate(random_images(count * len(classes), 20, 30, 3)):
        place = folder / classes[number % len(classes)]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.png")


def test_image_folder(tmp_path: Path, own_cache: Path) -> None:
    write_folder(tmp_path / "train", "ab", 5)
    write_folder(tmp_path / "test", "ab", 2)
    raw = load_image_folder(tmp_path, size=10)
    assert raw.train.pixels.shape == (10, 10, 10, 3)
    assert raw.test.labels.tolist() == [0, 0, 1, 1]
    assert load_image_folder(tmp_path, size=10, channels=1).train.pixels.shape == (10, 10, 10, 1)


def test_image_folder_without_test_split(tmp_path: Path, own_cache: Path) -> None:
    write_folder(tmp_path, "abc", 10)
    raw = load_image_folder(tmp_path, size=8)
    assert (len(raw.train.labels), len(raw.test.labels)) == (24, 6)
    assert "a fifth of each class" in raw.notes[0]


def test_unbalanced_folders_keep_their_shares(tmp_path: Path, own_cache: Path) -> None:
    for name, count in (("a", 40), ("b", 10), ("c", 3)):
        write_folder(tmp_path, name, count)
    data = load(DataSource("image_folder", tmp_path, size=8), validation=0.25)
    parts = (data.train, data.validation, data.test)
    assert [torch.bincount(part.labels).tolist() for part in parts] == [[24, 6, 1], [8, 2, 1], [8, 2, 1]]


def test_image_folder_says_what_is_wrong(tmp_path: Path, own_cache: Path) -> None:
    with pytest.raises(DataProblem, match="no such folder"):
        load_image_folder(tmp_path / "none", size=8)
    write_folder(tmp_path, "ab", 5)
    with pytest.raises(DataProblem, match="GiB in memory"):
        load_image_folder(tmp_path, size=100_000)
    (tmp_path / "a" / "torn.png").write_bytes((tmp_path / "a" / "0.png").read_bytes()[:100])
    with pytest.raises(DataProblem, match=r"torn\.png: is no readable image"):
        load_image_folder(tmp_path, size=8)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.fixture
def fake_fashion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four small files of the right form, declared to be the known ones."""
    folder = tmp_path / "fashion"
    folder.mkdir()
    contents = {}
    for part, count in (("train", 60), ("t10k", 20)):
        contents[f"{part}-images-idx3-ubyte"] = idx(random_images(count, 28, 28))
        contents[f"{part}-labels-idx1-ubyte"] = idx((np.arange(count) % 10).astype(np.uint8))
    for name, content in contents.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(fashion_mnist, "CONTENT", hashes)
    return folder


def copy_into(source: Path) -> fashion_mnist.Fetch:
    def fetch(folder: Path) -> None:
        for path in source.glob("*.gz"):
            (folder / path.name).write_bytes(path.read_bytes())

    return fetch


def refuse(folder: Path) -> None:
    raise DataProblem("no network", "find one")


def test_fashion_mnist_is_fetched_once(fake_fashion: Path, own_cache: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    for fetches in ((refuse, copy_into(fake_fashion)), (refuse,)):
        raw = fashion_mnist.load_fashion_mnist(None, nowhere, fetches)
        assert np.array_equal(raw.train.pixels[..., 0].numpy(), random_images(60, 28, 28))
        assert raw.test.labels.tolist() == list(np.arange(20) % 10)


def test_fashion_mnist_damaged_or_absent(fake_fashion: Path, own_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"no network.*install Debian's package"):
        fashion_mnist.load_fashion_mnist(None, tmp_path / "nowhere", (refuse,))
    path = fake_fashion / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataProblem, match="is damaged"):
        fashion_mnist.load_fashion_mnist(fake_fashion)
    path.write_bytes(gzip.compress(b"else"))
    with pytest.raises(DataProblem, match="not Fashion-MNIST's"):
        fashion_mnist.load_fashion_mnist(fake_fashion)


def test_digits_stand_in_for_fashion_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(path: Path | None) -> None:
        raise DataProblem("Fashion-MNIST is not here", "fetch it")

    monkeypatch.setattr("runtime.data.load.load_fashion_mnist", absent)
    dataset = load(DataSource("fashion_mnist"))
    assert dataset.name == "digits"
    assert "instead of Fashion-MNIST" in dataset.notes[0]
    dataset.check_fits((1, 28, 28), (10,))


def test_unknown_sources_and_missing_paths() -> None:
    for source in (DataSource("mnist"), DataSource("cifar10"), DataSource("image_folder", Path("."))):
        with pytest.raises(DataProblem):
            load(source)
