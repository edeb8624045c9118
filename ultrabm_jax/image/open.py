"""Opens an image file: reads its header and checks format and size; decodes nothing."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.file_types import HEAD
from ultrabm_jax.image import jpeg_xl
from ultrabm_jax.image.bad_image import BadImage, Refused, reason_of, require_file
from ultrabm_jax.image.bombs import refuse_bomb
from ultrabm_jax.image.damage import guess_file_type
from ultrabm_jax.image.formats import FORMATS, HEIF_BRANDS
from ultrabm_jax.image.headers import JPEG_START, unsupported_jpeg
from ultrabm_jax.image.tiff import ORIENTATION, is_tiff, open_page, xmp_orientation

if TYPE_CHECKING:
    from tifffile import TiffPage


@dataclass(frozen=True)
class OpenImage:
    """An image file whose header was read.

    At least one of `pillow`, `page` and `jpeg_xl` is there; `page` decodes the image if `pillow` is there, too.
    """

    path: Path
    file: BinaryIO
    format: str  # Pillow's name
    pillow: Image.Image | None
    page: TiffPage | None = None  # of a TIFF that Pillow cannot read or would cut to 8 bits
    jpeg_xl: jpeg_xl.Header | None = None
    xmp_orientation: int = 1  # of a TIFF that has no Orientation tag, as EXIF numbers it

    @property
    def stored_size(self) -> tuple[int, int]:
        """(width, height) by the header, before the orientation is applied (but Pillow applies that of TIFF files)."""
        if self.page is not None:
            return self.page.imagewidth, self.page.imagelength
        if self.jpeg_xl is not None:
            return self.jpeg_xl.width, self.jpeg_xl.height
        assert self.pillow is not None
        return self.pillow.size


class BoundedReader(io.BufferedReader):
    """Reads at most what the file has: decoders ask for as many bytes as a damaged header claims, up to 2^64."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw)
        self.length = os.fstat(raw.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size if size is None or size < 0 else min(size, self.length))


@contextmanager
def open_image(path: str | os.PathLike[str]) -> Iterator[OpenImage]:
    """Opens an image file; any error of a decoder inside the block becomes a `BadImage` that names the file."""
    path = Path(path)
    require_file(path)
    try:
        with BoundedReader(path.open("rb", buffering=0)) as file, ExitStack() as stack:
            opened = _identified(path, file, stack)
            _refuse(opened, stored=file.length)
            yield opened
    except BadImage:
        raise
    except UserError as error:  # a package is missing
        raise BadImage(path, str(error)) from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, TypeError, struct.error, KeyError ...
        raise BadImage(path, reason_of(path, error)) from error


def frames_of(opened: OpenImage) -> int:
    """How many frames or pages the file has; 1 if the image is not the first, or the others cannot be counted."""
    try:
        if opened.page is not None:
            return len(opened.page.parent.pages) if opened.page.index == 0 else 1
        return getattr(opened.pillow, "n_frames", 1)
    except Exception:  # each decoder has its own types; the first frame is complete
        return 1


def _identified(path: Path, file: BinaryIO, stack: ExitStack) -> OpenImage:
    head = file.read(HEAD)
    if jpeg_xl.is_jpeg_xl(head):
        return OpenImage(path, file, "JPEGXL", None, jpeg_xl=jpeg_xl.read_header(file))
    pillow: Image.Image | None = None
    try:
        pillow = stack.enter_context(_open_pillow(file, head))
    except Image.DecompressionBombError as error:
        raise Refused(f"more than {_limit()} pixels, which may be a decompression bomb; cut it into parts") from error
    except UnidentifiedImageError as error:
        if not is_tiff(head):
            file.seek(0)
            kind = unsupported_jpeg(file.read()) if head.startswith(JPEG_START) else None
            raise Refused(kind or guess_file_type(head)) from error
    page = None
    if is_tiff(head) and (pillow is None or isinstance(pillow, TiffImageFile)):
        try:
            page = open_page(file, stack, needed=pillow is None)
        except (Refused, UserError, MemoryError):
            raise
        except Exception as error:  # each decoder has its own types
            if pillow is None:
                raise Refused(guess_file_type(head)) from error
    orientation = 1
    if isinstance(pillow, TiffImageFile) and ORIENTATION not in pillow.tag_v2:
        orientation = xmp_orientation(pillow.info.pop("xmp", None))  # Pillow would turn the pixels, but not the size
    return OpenImage(path, file, (pillow and pillow.format) or "TIFF", pillow, page, xmp_orientation=orientation)


def _open_pillow(file: BinaryIO, head: bytes) -> ImageFile:
    file.seek(0)
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
        try:
            from pillow_heif import HeifImageFile
        except ImportError as error:
            raise Refused(guess_file_type(head)) from error
        try:
            heif: ImageFile = HeifImageFile(file)
        except Exception as error:
            raise Refused(f"a HEIC that is cut off or damaged ({first_line(error)})") from error
        return heif
    return Image.open(file)


def _refuse(opened: OpenImage, *, stored: int) -> None:
    if opened.format not in FORMATS:
        raise Refused(f"{opened.format} is not read; convert it to PNG")
    width, height = opened.stored_size
    refuse_bomb(width, height, format=opened.format, stored=stored, limit=_limit())


def _limit() -> int | None:
    """The most pixels that are read: where Pillow raises instead of warning."""
    return 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else None
