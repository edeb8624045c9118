"""Image and camera raw files for the fuzz test: whole ones, and the same ones mutated from a fixed seed."""

from __future__ import annotations

import importlib.util
import io
import random
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, PngImagePlugin

from ultrabm_jax.raw.cfa import BAYER, XTRANS
from ultrabm_jax.raw.dng import write_dng

SIZES = (0, 1, 2, 255, 13_000, 30_000, 65_535, 2**31 - 1, 2**32 - 1)  # what headers claim
SIGNATURE = 8  # bytes of a PNG before its chunks


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


# Mutations of any file: (rng, data, all whole files) -> data


def _flip(rng: random.Random, data: bytes, _: dict[str, bytes], *, within: int | None = None) -> bytes:
    made = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 32))):
        made[rng.randrange(min(len(made), within or len(made)))] ^= 1 << rng.randrange(8)
    return bytes(made)


def _flip_header(rng: random.Random, data: bytes, whole: dict[str, bytes]) -> bytes:
    return _flip(rng, data, whole, within=64)


def _truncate(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    return data[: rng.randrange(len(data))]


def _empty(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    return data[: rng.choice((0, 1, 2, 4, 8))]


def _zeros(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    start = rng.randrange(len(data))
    stop = rng.choice((len(data), min(len(data), start + 64)))
    return data[:start] + bytes(stop - start) + data[stop:]


def _insert(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(rng.choice((1, 3, 100))) + data[at:]


def _delete(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice((1, 3, 100)) :]


def _splice(rng: random.Random, data: bytes, whole: dict[str, bytes]) -> bytes:
    other = whole[rng.choice(sorted(whole))]
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def _number(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    """Writes a number that programs often mishandle at a random position."""
    kind = rng.choice(("<H", ">H", "<I", ">I"))
    number = struct.pack(kind, rng.choice(SIZES) % (1 << 8 * struct.calcsize(kind)))
    at = rng.randrange(max(1, len(data) - 4))
    return data[:at] + number + data[at + len(number) :]


MUTATIONS = [_flip, _flip_header, _truncate, _empty, _zeros, _insert, _delete, _splice, _number]


# Mutations that keep a format's frame, so that they get further into its decoder


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """(name, content) of each."""
    chunks, at = [], SIGNATURE
    while at < len(data):
        length = struct.unpack_from(">I", data, at)[0]
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A file with correct checksums."""
    parts = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _png_size(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    if not data.startswith(b"\x89PNG"):
        return data
    (_, header), *rest = png_chunks(data)
    width, height, *others = struct.unpack(">IIBBBBB", header)
    which = rng.randrange(3)
    if which:
        width, height = rng.choice(SIZES), rng.choice((height, *SIZES))
    else:
        others[:2] = rng.choice((1, 2, 4, 8, 16, 32)), rng.choice((0, 2, 3, 4, 6, 7))
    return png_of([(b"IHDR", struct.pack(">IIBBBBB", width, height, *others)), *rest])


def _png_chunk(rng: random.Random, data: bytes, whole: dict[str, bytes]) -> bytes:
    if not data.startswith(b"\x89PNG"):
        return data
    chunks = png_chunks(data)
    at = rng.randrange(len(chunks))
    name, body = chunks[at]
    match rng.randrange(4):
        case 0:
            del chunks[at]
        case 1:
            chunks.insert(rng.randrange(len(chunks)), chunks[at])
        case 2:
            chunks[at] = rng.choice((b"iCCP", b"eXIf", b"tRNS", b"PLTE", b"gAMA", b"acTL", b"fcTL", b"iTXt")), body
        case _:
            chunks[at] = name, _flip(rng, body, whole) if body else rng.randbytes(20)
    return png_of(chunks)


def _jpeg_size(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    frame = max(data.find(b"\xff\xc0\0"), data.find(b"\xff\xc2\0"))
    if frame < 0:
        return data
    size = struct.pack(">HH", rng.choice(SIZES) % 65536, rng.choice(SIZES) % 65536)
    return data[: frame + 5] + size + data[frame + 9 :]


def _gif_size(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    at = rng.choice((6, data.find(b",\0\0\0\0") + 5))
    return data[:at] + struct.pack("<HH", rng.choice(SIZES) % 65536, rng.choice(SIZES) % 65536) + data[at + 4 :]


def _webp_size(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    at = rng.choice((4, 16, 20, 24, 26, 28))
    return data[:at] + struct.pack("<I", rng.choice(SIZES)) + data[at + 4 :]


def _bmp_size(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    at = rng.choice((2, 10, 14, 18, 22, 26, 28, 30, 34, 46))
    return data[:at] + struct.pack("<I", rng.choice(SIZES)) + data[at + 4 :]


def _ppm_size(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    magic = rng.choice((b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf", b"PF"))
    numbers = b" ".join(str(rng.choice((-1, 24, *SIZES))).encode() for _ in range(3))
    return magic + b" " + numbers + b"\n" + data[15:]


def _tiff_entry(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    """Another number, type, count or value in one or a few entries of the first directory."""
    made, start = bytearray(data), struct.unpack_from("<I", data, 4)[0]
    if data[:4] != b"II*\0" or start + 2 > len(data):
        return data
    count = struct.unpack_from("<H", data, start)[0]
    for _ in range(rng.choice((1, 1, 3))):
        entry = start + 2 + 12 * rng.randrange(count)
        match rng.randrange(4):
            case 0:
                struct.pack_into("<H", made, entry + 2, rng.randrange(20))
            case 1:
                struct.pack_into("<I", made, entry + 4, rng.choice(SIZES))
            case 2:
                struct.pack_into("<I", made, entry + 8, rng.choice((start, rng.randrange(len(data)), *SIZES)))
            case _:
                struct.pack_into("<I", made, start + 2 + 12 * count, rng.choice((start, rng.randrange(len(data)))))
    return bytes(made)


def _box(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    """Another size or type of one of the boxes of AVIF, HEIC, JPEG 2000 and JPEG XL."""
    kinds = (b"ftyp", b"meta", b"iloc", b"ispe", b"pixi", b"av1C", b"hvcC", b"colr", b"ipco", b"ipma", b"mdat", b"irot",
             b"jp2h", b"ihdr", b"jp2c", b"jxlc", b"jxlp", b"Exif")  # fmt: skip
    places = [at for kind in kinds if (at := data.find(kind)) >= 4]
    if not places:
        return data
    at, made = rng.choice(places), bytearray(data)
    match rng.randrange(3):
        case 0:
            struct.pack_into(">I", made, at - 4, rng.choice((1, 7, *SIZES)))
        case 1:
            made[at : at + 4] = rng.choice(kinds)
        case _:
            body = rng.randrange(at + 4, min(len(made), at + 40))
            made[body : body + 4] = struct.pack(">I", rng.choice(SIZES))
    return bytes(made)


def _codestream_bits(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    """Flipped bits in the first 16 bytes of a JPEG XL codestream: size, orientation, depth, channels, colours."""
    start = data.find(b"\xff\x0a")
    if start < 0:
        return data
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 4))):
        made[start + 2 + rng.randrange(min(16, len(made) - start - 2))] ^= 1 << rng.randrange(8)
    return bytes(made)


STRUCTURED: dict[str, list[Callable[[random.Random, bytes, dict[str, bytes]], bytes]]] = {
    "png": [_png_size, _png_chunk],
    "jpg": [_jpeg_size],
    "gif": [_gif_size],
    "webp": [_webp_size],
    "bmp": [_bmp_size],
    "ppm": [_ppm_size],
    "pgm": [_ppm_size],
    "tif": [_tiff_entry],
    "dng": [_tiff_entry],
    "pbm": [_ppm_size],
    "avif": [_box],
    "heic": [_box],
    "jp2": [_box],
    "jxl": [_box, _codestream_bits],
}


# Small files that unpack to large ones


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
