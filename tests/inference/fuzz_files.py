"""Image and camera raw files for the fuzz test.

Whole files, the same ones mutated from a fixed seed, and small files that unpack to large ones.
"""

from __future__ import annotations

import importlib.util
import io
import random
import struct
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from inference.fuzz_mutations import MUTATIONS, STRUCTURED, png_chunks, png_of
from PIL import Image, PngImagePlugin

from ultrabm_jax.raw.cfa import BAYER, XTRANS
from ultrabm_jax.raw.dng import write_dng


@dataclass(frozen=True)
class Case:
    """`valid`: has to be restored; any other may be restored or refused."""

    name: str
    data: bytes
    kind: str
    valid: bool


def photos() -> dict[str, bytes]:
    """Whole files of many kinds, by name."""
    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 60, 16)[:, None, None] + np.linspace(0, 40, 24)[:, None] + np.array([0, 10, 20])
    rgb = np.clip(smooth + rng.normal(0, 4, (16, 24, 3)), 0, 255).astype(np.uint8)
    deep = rgb.astype(np.uint16) * 257
    color, alpha = Image.fromarray(rgb), Image.fromarray(np.dstack([rgb, rgb[..., :1]]))
    frames = {"save_all": True, "append_images": [color.transpose(Image.Transpose.ROTATE_180)] * 2}
    exif = Image.Exif()
    exif.update({274: 6, 271: "maker", 37510: b"x" * 60_000})
    upright = Image.Exif()
    upright[274] = 8
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "dark " * 2000, zip=True)
    files = {
        "gray.png": _saved(color.convert("L"), "PNG"),
        "rgb.png": _saved(color, "PNG", exif=upright, icc_profile=b"\0" * 16 + b"RGB XYZ " + b"\0" * 104),
        "alpha.png": _saved(alpha, "PNG"),
        "palette.png": _saved(color.convert("P"), "PNG", transparency=3),
        "bits.png": _saved(color.convert("1"), "PNG"),
        "la.png": _saved(color.convert("LA"), "PNG"),
        "text.png": _saved(color, "PNG", pnginfo=text),
        "animated.png": _saved(color, "PNG", **frames),
        "deep.png": bytes(imagecodecs.png_encode(deep)),
        "deep_gray.png": bytes(imagecodecs.png_encode(deep[..., 0].copy())),
        "pixel.png": _saved(Image.new("RGB", (1, 1)), "PNG"),
        "rgb.jpg": _saved(color, "JPEG"),
        "gray.jpg": _saved(color.convert("L"), "JPEG"),
        "cmyk.jpg": _saved(color.convert("CMYK"), "JPEG"),
        "progressive.jpg": _saved(color, "JPEG", progressive=True),
        "exif.jpg": _saved(color, "JPEG", exif=exif),
        "a_png.jpg": _saved(color, "PNG"),
        "still.gif": _saved(color, "GIF"),
        "animated.gif": _saved(color, "GIF", **frames),
        "lossy.webp": _saved(color, "WEBP"),
        "animated.webp": _saved(alpha, "WEBP", lossless=True, **frames),
        "rgb.bmp": _saved(color, "BMP"),
        "palette.bmp": _saved(color.convert("P"), "BMP"),
        "rgb.ppm": _saved(color, "PPM"),
        "deep.pgm": b"P5 24 16 65535\n" + deep[..., 0].astype(">u2").tobytes(),
        "rgb.tif": _saved(color, "TIFF"),
        "lzw.tif": _saved(color, "TIFF", compression="tiff_lzw", exif=upright),
        "jpeg.tif": _saved(color, "TIFF", compression="jpeg"),
        "cmyk.tif": _saved(color.convert("CMYK"), "TIFF"),
        "rgb.avif": _saved(color, "AVIF", exif=upright),
        "alpha.avif": _saved(alpha, "AVIF"),
        "deep.avif": bytes(imagecodecs.avif_encode(deep >> 6, level=95, bitspersample=10)),
        "deep_alpha.avif": bytes(
            imagecodecs.avif_encode(np.dstack([deep, deep[..., :1]]) >> 4, level=95, bitspersample=12)
        ),
        "alpha.webp": _saved(alpha, "WEBP"),
        "exif.webp": _saved(color, "WEBP", exif=upright),
        "rgb.jp2": _saved(color, "JPEG2000"),
        "gray.j2k": bytes(imagecodecs.jpeg2k_encode(deep[..., 0] >> 4, level=0, codecformat="j2k", bitspersample=12)),
        "deep_alpha.png": bytes(imagecodecs.png_encode(np.dstack([deep, deep[..., :1]]))),
        "white100.pgm": b"P5 24 16 100\n" + (rgb[..., 0] // 3).tobytes(),
        "bits.pbm": _saved(color.convert("1"), "PPM"),
        "deep.jp2": bytes(imagecodecs.jpeg2k_encode(deep, level=0, codecformat="jp2")),
        "deep.ppm": b"P6 24 16 65535\n" + deep.astype(">u2").tobytes(),
        "text.ppm": b"P3 24 16 # deep\n1023\n" + b" ".join(b"%d" % value for value in (deep >> 6).ravel()),
        "linear.png": _with_chunk(_saved(color, "PNG"), b"gAMA", struct.pack(">I", 100_000), after=b"IHDR"),
        "late.png": _with_chunk(_saved(color, "PNG"), b"eXIf", upright.tobytes()[6:], after=b"IDAT"),
    }
    return files | tiff_files(deep) | jpeg_xl_files(rgb, deep) | heic_files(color, deep)


def jpeg_xl_files(rgb: np.ndarray, deep: np.ndarray) -> dict[str, bytes]:
    """Whole JPEG XL files: bare codestreams and boxes, lossless and lossy, deep, gray, alpha, frames, encodings."""
    files = {}
    for name, values, options in (
        ("rgb", rgb, {"lossless": True}),
        ("boxes", rgb, {"lossless": True, "usecontainer": True}),
        ("lossy", rgb, {"distance": 1.0}),
        ("deep", deep, {"lossless": True}),
        ("gray", rgb[..., 0].copy(), {"lossless": True}),
        ("alpha", np.dstack([rgb, rgb[..., :1]]), {"lossless": True}),
        ("frames", np.stack([rgb, rgb[::-1]]), {"lossless": True}),
        ("linear", rgb, {"lossless": True, "transfer": 8}),
    ):
        files[f"{name}.jxl"] = bytes(imagecodecs.jpegxl_encode(values, **options))
    return files


def heic_files(color: Image.Image, deep: np.ndarray) -> dict[str, bytes]:
    """Whole HEIC files of 8 and 10 bits; none without pillow-heif."""
    if importlib.util.find_spec("pillow_heif") is None:
        return {}
    import pillow_heif

    files, large = {}, np.tile(deep, (4, 4, 1))
    for name, heif in (
        ("rgb", pillow_heif.from_pillow(color.resize((96, 64)))),
        ("deep", pillow_heif.from_bytes("RGB;16", large.shape[1::-1], large.tobytes())),
    ):
        data = io.BytesIO()
        heif.save(data, quality=90)
        files[f"{name}.heic"] = data.getvalue()
    return files


def tiff_files(deep: np.ndarray) -> dict[str, bytes]:
    """Whole TIFF files that tifffile decodes, of (h, w, 3) 16-bit values."""
    gray, alpha = deep[..., 0], np.full(deep.shape[:2], 40_000, np.uint16)
    files = {}
    for name, values, options in (
        ("deep", deep, {}),
        ("deep_deflate", deep, {"compression": "deflate"}),
        ("deep_tiles", deep, {"tile": (16, 16)}),
        ("deep_planar", np.moveaxis(deep, -1, 0), {"planarconfig": "separate"}),
        ("deep_big", deep, {"bigtiff": True, "byteorder": ">"}),
        ("premultiplied", np.dstack([deep // 2, alpha]), {"extrasamples": ["assocalpha"]}),
        ("gray12", gray >> 4, {"photometric": "minisblack", "bitspersample": 12}),
        ("gray_white_is_zero", gray, {"photometric": "miniswhite"}),
        ("gray_alpha", np.dstack([gray, alpha]), {"photometric": "minisblack", "extrasamples": ["unassalpha"]}),
    ):
        data = io.BytesIO()
        tifffile.imwrite(data, values, **{"photometric": "rgb", **options})
        files[f"{name}.tif"] = data.getvalue()
    data = io.BytesIO()
    with tifffile.TiffWriter(data) as writer:
        writer.write(deep[::4, ::4], photometric="rgb", subfiletype=1)
        writer.write(deep, photometric="rgb")
    return files | {"thumbnail.tif": data.getvalue()}


def _with_chunk(png: bytes, kind: bytes, body: bytes, *, after: bytes) -> bytes:
    chunks = png_chunks(png)
    place = 1 + max(index for index, (name, _) in enumerate(chunks) if name == after)
    return png_of([*chunks[:place], (kind, body), *chunks[place:]])


def raw_files() -> dict[str, bytes]:
    """Whole camera raw files."""
    values = np.random.default_rng(0).integers(500, 900, (48, 72), np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name, pattern, orientation in (("bayer", BAYER, 1), ("turned", BAYER, 6), ("xtrans", XTRANS, 1)):
            path = Path(folder) / f"{name}.dng"
            write_dng(path, values, pattern=pattern, black=512, white=16383, orientation=orientation)
            files[path.name] = path.read_bytes()
    return files | {"levels.dng": levels_dng(values)}


def levels_dng(values: np.ndarray) -> bytes:
    """A DNG with an active area, a default crop, a pattern of black levels and deltas by column."""
    height, width = values.shape
    tags = [
        (271, 2, 0, "maker", True),
        (272, 2, 0, "model", True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, bytes((0, 1, 1, 2)), True),
        (50706, 1, 4, (1, 4, 0, 0), True),
        (50713, 3, 2, (2, 2), True),
        (50714, 4, 4, (64, 65, 66, 67), True),
        (50715, 10, width - 2, (1, 2) * (width - 2), True),
        (50717, 4, 1, 1023, True),
        (50719, 5, 2, (2, 1, 2, 1), True),
        (50720, 5, 2, (40, 1, 30, 1), True),
        (50829, 4, 4, (2, 2, height, width), True),
    ]
    data = io.BytesIO()
    tifffile.imwrite(data, values, photometric=32803, extratags=tags, metadata=None)
    return data.getvalue()


def cases(count: int, *, seed: int, raw: bool = False) -> list[Case]:
    """`count` mutated files, and each whole file twice among them."""
    rng = random.Random(f"{seed} {raw}")
    whole = raw_files() if raw else photos()
    made = [Case(name, data, "whole", True) for name, data in whole.items() for _ in range(2)]
    bombs = [] if raw else exif_bombs(whole["rgb.jpg"]) + png_bombs()
    made += [Case(name, data, "bomb", False) for name, data in bombs][:count]
    while len(made) < count + 2 * len(whole):
        name = rng.choice(sorted(whole))
        mutate = rng.choice(MUTATIONS + STRUCTURED.get(name.rsplit(".")[-1], []) * 2)
        data = mutate(rng, whole[name], whole)
        made.append(Case(name, data, mutate.__name__.strip("_"), data == whole[name]))
    rng.shuffle(made)
    return [Case(f"{i:04}_{c.kind}_{c.name}", c.data, c.kind, c.valid) for i, c in enumerate(made)]


def _saved(image: Image.Image, format: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format, **options)
    return data.getvalue()


def exif_bombs(jpeg: bytes) -> list[tuple[str, bytes]]:
    """JPEG files whose EXIF block is circular, claims billions of values, or nests."""
    circle = _ifd([(34665, 4, 1, 8), (34853, 4, 1, 8), (40965, 4, 1, 8), (330, 4, 1, 8)], following=8)
    counts = _ifd([(tag, 1 + tag % 12, 2**32 - 1, 8) for tag in range(256, 300)])
    wrong = _ifd([(274, 2, 4, 0x61626364), (34665, 2, 9, 8), (282, 5, 1, 2**31)])
    blocks = {"circle": circle, "counts": counts, "wrong": wrong, "short": b"II*\0\xff\xff\xff\x7f", "none": b"MM"}
    made = []
    for name, block in blocks.items():
        body = b"Exif\0\0" + block
        made.append((f"exif_{name}.jpg", jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]))
    return made


def _ifd(entries: list[tuple[int, int, int, int]], *, following: int = 0) -> bytes:
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", following)


def png_bombs() -> list[tuple[str, bytes]]:
    """A few hundred kilobytes or less that claim, or are, hundreds of megapixels or megabytes of text."""
    packed = zlib.compressobj(9)
    zeros = b"".join(packed.compress(bytes(1 << 20)) for _ in range(100)) + packed.flush()
    flat = (b"IHDR", struct.pack(">IIBBBBB", 10_000, 10_000, 8, 0, 0, 0, 0))
    tiny = (b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    bits = (b"IHDR", struct.pack(">IIBBBBB", 13_000, 13_000, 1, 0, 0, 0, 0))
    body, end = (b"IDAT", zlib.compress(bytes(9 * 8))), (b"IEND", b"")
    gif = b"GIF89a" + struct.pack("<HHBBB", 13_000, 13_000, 0x80, 0, 0) + bytes(6)
    gif += b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2D\1\0;"
    return [
        ("flat.png", png_of([flat, (b"IDAT", zeros), end])),
        ("bits.png", png_of([bits, (b"IDAT", zeros), end])),
        ("text.png", png_of([tiny, (b"zTXt", b"a\0\0" + zeros), body, end])),
        ("profile.png", png_of([tiny, (b"iCCP", b"a\0\0" + zeros), body, end])),
        ("canvas.gif", gif),
        ("lines.bmp", b"BM" + struct.pack("<IIIIiiHHIIIIII", 200, 0, 54, 40, 13_000, 13_000, 1, 24, 0, 0, 0, 0, 0, 0)),
        ("rows.ppm", b"P6 13000 13000 255\n" + bytes(100)),
    ]
