"""Images are opened as what they are, whole and within bounds, or named in an error."""

import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from seedband.data.dataset import load_items
from seedband.data.images import check_images, decoded
from seedband.errors import UsageError, WorkFailed

COLUMNS = {"task": "image-classification", "image": "image", "label": "label", "id": "id", "slices": []}


def png(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixel."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (header, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.fixture
def square(tmp_path):
    path = tmp_path / "square.png"
    Image.fromarray(np.arange(64, dtype="uint8").reshape(8, 8)).save(path)
    return path


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_images_of_8_bits_become_rgb(square, tmp_path, mode):
    path = tmp_path / ("image.jpg" if mode == "CMYK" else "image.png")
    with Image.open(square) as image:
        image.convert(mode).save(path)
    found = decoded(path)
    assert (found.mode, found.size) == ("RGB", (8, 8))


def test_an_image_is_turned_as_its_camera_says(square, tmp_path):
    with Image.open(square) as image:
        turned = Image.Exif()
        turned[0x0112] = 6
        image.save(tmp_path / "turned.png", exif=turned)
        expected = ImageOps.exif_transpose(Image.open(tmp_path / "turned.png")).convert("RGB")
        assert np.array_equal(np.asarray(decoded(tmp_path / "turned.png")), np.asarray(expected))
        assert not np.array_equal(np.asarray(expected), np.asarray(image.convert("RGB")))


def test_16_bits_are_told_by_their_mode(tmp_path):
    Image.fromarray(np.full((4, 4), 40000, dtype="uint16")).save(tmp_path / "deep.png")
    with pytest.raises(UsageError, match="pixels of mode I;16"):
        decoded(tmp_path / "deep.png")


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (12_000, 10_000), (9000, 9000)])
def test_a_bomb_is_refused_by_what_it_claims(tmp_path, width, height):
    (tmp_path / "bomb.png").write_bytes(png(width, height))
    with pytest.raises(UsageError, match="more than 67108864 pixels"):
        decoded(tmp_path / "bomb.png")


@pytest.mark.parametrize(
    "content",
    [b"", b"no image", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", png(8, 8)],
)
def test_what_is_no_whole_image_of_a_known_format_is_told(tmp_path, content):
    (tmp_path / "image.png").write_bytes(content)
    with pytest.raises(UsageError, match="no image that can be decoded"):
        decoded(tmp_path / "image.png")


def test_a_truncated_image_is_told(square):
    square.write_bytes(square.read_bytes()[:-30])
    with pytest.raises(UsageError, match="no image that can be decoded"):
        decoded(square)


def test_an_image_that_the_system_does_not_give_is_no_fault_of_its_own(tmp_path):
    with pytest.raises(WorkFailed, match="cannot read"):
        decoded(tmp_path)


def test_every_broken_image_is_named_and_the_rest_counted(square, tmp_path):
    paths = [square, *(tmp_path / f"{n}.png" for n in range(12))]
    for path in paths[1:]:
        path.write_bytes(b"broken")
    with pytest.raises(UsageError, match="12 images cannot be used") as caught:
        check_images([path.stem for path in paths], [str(path) for path in paths], tmp_path / "eval.jsonl")
    assert [problem.where for problem in caught.value.problems] == [f"eval.jsonl, item {n}" for n in range(10)]


def test_without_pillow_there_is_a_hint(square, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UsageError) as caught:
        check_images(["a"], [str(square)], square)
    assert caught.value.hint == 'pip install "seedband[image]"'


@pytest.fixture
def folder(square, tmp_path):
    """A folder of images with a label each; beside it an image that is not in it."""
    for label in "ab":
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "1.png").write_bytes(square.read_bytes() + label.encode())
    return tmp_path / "data"


def listed(folder, *rows):
    path = folder / "rows.jsonl"
    path.write_text("\n".join(rows), encoding="utf-8")
    return load_items(path, COLUMNS)


def test_a_folder_and_a_list_of_its_images_are_one_data_set(folder):
    rows = [f'{{"id": "{label}/1.png", "image": "{label}/1.png", "label": "{label}"}}' for label in "ab"]
    by_folder, by_list = load_items(folder, COLUMNS), listed(folder, *rows)
    assert by_folder.ids == by_list.ids == ("a/1.png", "b/1.png")
    assert by_folder.targets == by_list.targets == ("a", "b")
    assert by_folder.contents == by_list.contents
    assert by_folder.sha256 == by_list.sha256


@pytest.mark.parametrize("change", ["bytes", "label", "name", "gone", "new"])
def test_every_change_of_a_folder_changes_its_hash(folder, change):
    before = load_items(folder, COLUMNS).sha256
    image = folder / "a" / "1.png"
    if change == "bytes":
        image.write_bytes(image.read_bytes() + b" ")
    elif change == "label":
        image.parent.rename(folder / "c")
    elif change == "name":
        image.rename(folder / "a" / "2.png")
    elif change == "gone":
        image.unlink()
    else:
        (folder / "b" / "0.png").write_bytes(image.read_bytes())
    assert load_items(folder, COLUMNS).sha256 != before


@pytest.mark.parametrize("name", ["a/2.png", "../square.png", "a", "/etc/hostname", "a/../../square.png", "x" * 300])
def test_an_image_that_is_not_in_the_folder_is_told(folder, name):
    with pytest.raises(UsageError, match=r"item row-1: (no image|image .* lies outside)"):
        listed(folder, f'{{"image": "{name}", "label": "a"}}')


def test_a_link_within_the_folder_is_followed_and_one_out_of_it_is_not(folder, square, tmp_path):
    (folder / "a" / "2.png").symlink_to("1.png")
    assert len(load_items(folder, COLUMNS)) == 3
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    assert load_items(tmp_path / "link", COLUMNS).sha256 == load_items(folder, COLUMNS).sha256
    (folder / "b" / "2.png").symlink_to(square)
    with pytest.raises(UsageError, match=r"image 'b/2.png' lies outside"):
        load_items(folder, COLUMNS)
