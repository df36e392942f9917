"""Images: opened as what they are, never as what needs a program to be run, and within bounds of size.

They are turned and made RGB as transformers does it: by their EXIF orientation, without their alpha.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seedband.counts import counted
from seedband.errors import Problem, UsageError, WorkFailed
from seedband.storage import json_files

if TYPE_CHECKING:
    from PIL.Image import Image

#: Whatever a file is called, it is opened as one of these; of an animation the first picture counts.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
#: Of 8 bits a channel: more would be cut off where a model's processor takes 8.
MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La", "CMYK", "YCbCr", "LAB", "HSV"})
#: A larger one is not decoded: a few kilobytes can claim any size.
MAX_PIXELS = 64 * 1024**2
#: Mistakes listed of one data set; the rest is counted.
MAX_LISTED = 10


def decoded(path: Path) -> "Image":
    """An image in RGB, upright.

    Raises:
        UsageError: No image of these formats, broken, far too large, or of more than 8 bits a channel; or pillow is not
            installed.
        WorkFailed: It cannot be read.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise UsageError("images need pillow", hint='pip install "seedband[image]"') from error
    json_files.check_pointer(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                _check(image, path)
                upright: Image.Image = ImageOps.exif_transpose(image)
                return upright.convert("RGB")
    except UsageError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_large(path) from error
    except Exception as error:  # whatever a broken file makes a decoder raise
        if isinstance(error, OSError) and error.errno is not None:
            raise WorkFailed.from_os(error, f"read {path}") from error
        what = f"no image that can be decoded ({str(error) or type(error).__name__})"
        raise UsageError(f"{path}: {what.replace(str(path), path.name)}", hint=f"of {', '.join(FORMATS)}") from error


def check_images(ids: Sequence[str], paths: Sequence[str], source: Path) -> None:
    """Decode every image of a data set once, before any work.

    Args:
        ids: Name of each item.
        paths: Its image.
        source: The data set, for messages.

    Raises:
        UsageError: With the first mistakes.
    """
    problems = []
    for name, path in zip(ids, paths, strict=True):
        try:
            decoded(Path(path))
        except UsageError as error:
            _, _, found = error.message.partition(": ")
            if not found:  # no fault of the image
                raise
            problems.append(Problem(f"{source.name}, item {name}", found, "an image of 8 bits a channel", error.hint))
    if problems:
        raise UsageError(f"{source}: {counted(len(problems), 'image')} cannot be used", problems=problems[:MAX_LISTED])


def _check(image: "Image", path: Path) -> None:
    """Check the header, before anything is decoded."""
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(path)
    if image.mode not in MODES:
        raise UsageError(f"{path}: pixels of mode {image.mode}", hint="save it with 8 bits a channel")


def _too_large(path: Path) -> UsageError:
    return UsageError(f"{path}: more than {MAX_PIXELS} pixels", hint="scale it down: models read far fewer")
