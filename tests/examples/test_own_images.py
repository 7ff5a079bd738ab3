"""Images of one's own: what train_mnist --data takes, and what it says of a file that it does not."""

import hashlib
import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
from safetensors import safe_open

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples import train_mnist
from examples.common.mnist_files import DataError
from examples.common.models import start_for
from examples.common.own_images import ARRAYS, load_npz
from parity import assert_parity, load_weights, smooth_input


def bars(count, shape=(12, 17), channels=3, classes=7, seed=0):
    """Colour images (count, H, W, C) of bytes with a bright bar, whose place is the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = rng.integers(0, 60, (count, *shape, channels), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label : 2 * label + 2] += 150
    return images, labels


@pytest.fixture
def mine(tmp_path):
    """mine(**others) -> a file of 70 training and 14 test images, with these arrays in place of its own."""
    (x_train, y_train), (x_test, y_test) = bars(70), bars(14, seed=1)
    right = dict(zip(ARRAYS, (x_train, y_train, x_test, y_test), strict=True))

    def write(**others):
        path = tmp_path / "mine.npz"
        kept = {name: array for name, array in (right | others).items() if array is not None}
        np.savez_compressed(path, **kept)
        return path

    return write


def test_images_of_any_form_become_the_same_data_set(mine):
    whole = load_npz(mine())
    assert (
        whole.image == (3, 12, 17) and whole.classes == 7 and str(whole).startswith("mine.npz (70 training")
    )
    x, y = bars(70)
    x_test, y_test = bars(14, seed=1)
    for others in (
        {"x_train": x.transpose(0, 3, 1, 2), "x_test": x_test.transpose(0, 3, 1, 2)},
        {"y_train": y[:, None].astype(np.uint8), "y_test": y_test.astype(np.int16)},
        {"x_train": x.astype(np.float64)},
        {"x_train": np.asfortranarray(x)},
    ):
        again = load_npz(mine(**others))
        for part in ("train_images", "train_labels", "test_images", "test_labels"):
            assert np.array_equal(getattr(again, part), getattr(whole, part))
    grey = load_npz(mine(x_train=x[..., 0], x_test=x_test[..., 0]))
    assert grey.image == (1, 12, 17)
    np.testing.assert_allclose(grey.train_images[:, 0], whole.train_images[:, 0], rtol=1e-6)


def test_each_channel_is_normalised_by_the_training_images_alone(mine):
    x, _ = bars(70)
    x_test, _ = bars(14, seed=1)
    scaled = (x * [1.0, 1e4, 0.0] + [0, -7, 3]).astype(np.float64)
    found = load_npz(mine(x_train=scaled, x_test=x_test * [1.0, 1e4, 0.0] + [0, -7, 3]))
    np.testing.assert_allclose(found.train_images.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(found.train_images.std(axis=(0, 2, 3)), [1, 1, 0], atol=1e-5)
    mean, std = x[..., 0].mean(), x[..., 0].std()
    np.testing.assert_allclose(found.test_images[:, 0], (x_test[..., 0] - mean) / std, rtol=1e-4, atol=1e-5)
    assert found.facts["range"] == [-7.0, scaled.max()] and load_npz(mine()).facts["range"] == [0.0, 255.0]


@pytest.mark.parametrize("backend", ["numpy", pytest.param("torch", marks=pytest.mark.slow)])
def test_a_fitting_network_learns_them_and_every_result_names_them(backend, mine, tmp_path, capsys):
    path, folder = mine(), tmp_path / "run"
    arguments = f"--data {path} --backend {backend} --device cpu --lr 0.01 --batch-size 14 --seed 1"
    arguments = [*arguments.split(), "--output-dir", str(folder)]
    assert train_mnist.main([*arguments, "--epochs", "4"]) == 0
    lines, sha256 = capsys.readouterr().out.splitlines(), hashlib.sha256(path.read_bytes()).hexdigest()
    assert lines[0].startswith(
        "mine.npz: ImageCNN on mine.npz (70 training and 14 test images) of 3 x 12 x 17 in"
    )
    assert f"7 classes, SHA-256 {sha256[:12]}..., {backend} on cpu" in lines[0]
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["test_accuracy"] == 100 and {row["sha256"] for row in rows} == {sha256}
    with safe_open(folder / "model.safetensors", "np") as file:
        assert file.metadata()["dataset"] == f"mine.npz, SHA-256 {sha256}"
    for model in (
        tn.ImageCNN((3, 12, 17), 7, rng=np.random.default_rng(0)),
        tt.ImageCNN((3, 12, 17), 7),
    ):
        load_weights(model, folder / "model.safetensors")
    assert train_mnist.main([*arguments, "--epochs", "5", "--resume"]) == 0
    mine(x_test=bars(14, seed=2)[0])  # another file of the same name
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        train_mnist.main([*arguments, "--epochs", "6", "--resume"])
    error = capsys.readouterr().err
    assert exit_.value.code == 2 and error.count("\n") == 1 and f"with sha256 {sha256}, and not" in error


def test_both_backends_begin_and_go_the_same_way(mine):
    dataset = load_npz(mine())
    ours, theirs = (start_for(dataset, backend, 5) for backend in ("numpy", "torch"))
    x = smooth_input(ours, (4, *dataset.image), np.float32, np.random.default_rng(0))
    assert_parity(ours, x, theirs, labels=dataset.train_labels[:4])
    assert isinstance(theirs, tt.ImageCNN) and type(ours) is tn.ImageCNN


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"x_test": None, "y_test": None}, r"x_test, y_test missing among \['x_train', 'y_train'\]"),
        ({"x_train": np.array(["a"] * 70)}, "x_train has dtype <U1, expected real numbers"),
        ({"x_train": np.zeros((70, 12, 17), complex)}, "x_train has dtype complex128, expected real numbers"),
        ({"x_train": np.array([{}])}, "x_train cannot be read: Object arrays cannot be loaded"),
        ({"x_train": np.zeros((70, 204))}, r"x_train has shape \(70, 204\), expected \(M, H, W\)"),
        ({"x_train": np.zeros((0, 12, 17))}, r"x_train has shape \(0, 12, 17\)"),
        ({"x_train": np.zeros((70, 9, 17))}, r"\(70, 9, 17\), .* H and W at least 10 and C below 10"),
        ({"x_train": np.zeros((70, 12, 9, 3))}, r"\(70, 12, 9, 3\), .* at least 10"),
        ({"x_train": np.zeros((70, 3, 8, 8))}, r"\(70, 3, 8, 8\), .* at least 10"),
        ({"x_train": np.zeros((70, 12, 17, 12))}, r"\(70, 12, 17, 12\), .* C below 10"),
        ({"x_train": np.full((70, 12, 17, 3), np.nan)}, "x_train holds a number that is not finite"),
        (
            {"x_train": np.full((70, 12, 17, 3), 1e300)},
            "x_train holds a number that is not finite in float32",
        ),
        ({"x_train": np.ones((70, 12, 17, 3))}, "x_train is the same everywhere"),
        (
            {"x_test": np.zeros((14, 13, 17, 3))},
            r"x_test has images of \(3, 13, 17\), expected \(3, 12, 17\)",
        ),
        ({"y_train": np.arange(70) % 7 / 1}, "y_train has dtype float64, expected whole numbers"),
        (
            {"y_train": np.eye(7, dtype=int)[np.arange(70) % 7]},
            r"y_train has shape \(70, 7\), expected \(70,\)",
        ),
        ({"y_train": np.arange(69) % 7}, r"y_train has shape \(69,\), expected \(70,\), one class an image"),
        ({"y_train": np.arange(70) % 7 - 1}, "y_train has a -1, expected the classes 0, 1, 2"),
        ({"y_train": np.arange(70) % 7 + 1}, "y_train has a 7 but no 0, expected 0, 1, 2, ..."),
        ({"y_train": np.arange(70) % 2 * 5}, "y_train has a 5 but no 1"),
        ({"y_train": np.zeros(70, int)}, "y_train holds one class alone, expected at least two"),
        ({"y_test": np.full(14, 7)}, "y_test has a 7, expected the classes of y_train, 0 to 6"),
    ],
)
def test_what_it_cannot_take_is_one_line(others, said, mine):
    with pytest.raises(DataError, match=f"^--data .*mine.npz: .*{said}") as error:
        load_npz(mine(**others))
    assert "\n" not in str(error.value)


class Payload:
    def __reduce__(self):
        return os.system, ("touch owned",)


def test_no_pickle_is_read(mine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    array = np.array([Payload()])
    for content in (
        pickle.dumps(Payload()),
        mine(x_train=array).read_bytes(),
        mine(y_test=array).read_bytes(),
    ):
        path = tmp_path / "mine.npz"
        path.write_bytes(content)
        with pytest.raises(DataError):
            load_npz(path)
    assert not (tmp_path / "owned").exists()
    pickle.loads(pickle.dumps(Payload()))  # the payload is real
    assert (tmp_path / "owned").exists()


def test_a_file_that_is_not_whole_is_one_line(mine, tmp_path):
    whole, path = mine().read_bytes(), tmp_path / "part.npz"
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (b"", b"PK", whole[:100], whole[: len(whole) // 2], whole[:-1], bytes(flipped)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"^--data .*part.npz") as error:
            load_npz(path)
        assert "\n" not in str(error.value)
    np.save(path.with_suffix(".npy"), np.zeros(3))
    with pytest.raises(DataError, match=r"part.npy: is no .npz file, expected what np.savez writes"):
        load_npz(path.with_suffix(".npy"))


def test_a_file_that_unpacks_to_more_than_there_is_is_one_line(mine, tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 1000, 1000)}
    )
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(mine()) as right, zipfile.ZipFile(path, "w") as bomb:
        for name in ARRAYS:
            bomb.writestr(f"{name}.npy", header.getvalue() if name == "x_test" else right.read(f"{name}.npy"))
    with pytest.raises(DataError, match=r"bomb.npz: needs more memory than there is$"):
        load_npz(path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--data nowhere.npz", "--data nowhere.npz cannot be read: No such file or directory"),
        ("--data .", "--data . cannot be read: Is a directory"),
        ("--data mine.npz --dataset digits", "--data mine.npz with --dataset digits: name one of them"),
        ("--data mine.npz --batch-size 71", "--batch-size 71 is above the 70 training images of mine.npz"),
    ],
)
def test_the_program_says_it_in_one_line(arguments, said, mine, tmp_path, monkeypatch, capsys):
    mine()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        train_mnist.main(arguments.split())
    assert exit_.value.code == 2 and capsys.readouterr().err == f"error: {said}\n"
    assert not (tmp_path / "runs").exists()
