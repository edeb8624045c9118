"""Every orientation of every container is applied exactly once."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from image.making import COLOUR, saved
from PIL import Image, ImageOps, PngImagePlugin

from ultrabm_jax.image import read_image, read_size


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "deep.png", "deep.tif"])
def test_orientation_is_applied_once(tmp_path, orientation, kind):
    stored = np.repeat(np.repeat(COLOUR // 2, 8, 0), 8, 1)
    exif = Image.Exif()
    exif[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(_tagged(stored, exif)))
    path = tmp_path / f"a.{kind}"
    if kind == "deep.png":
        data = io.BytesIO()
        _tagged(stored, exif).save(data, "PNG", exif=exif)
        path.write_bytes(_deepen(data.getvalue(), stored))
    elif kind == "deep.tif":
        tags = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(path, stored.astype(np.uint16) * 257, photometric="rgb", extratags=tags)
    else:
        options = {"quality": 100, "subsampling": 0} if kind == "jpg" else {}
        Image.fromarray(stored).save(path, exif=exif, **options)
    rgb = read_image(path).rgb
    assert rgb.shape == expected.shape
    np.testing.assert_allclose(rgb * 255, expected, atol=3 if kind == "jpg" else 1e-3)


def _tagged(stored, exif):
    data = io.BytesIO()
    Image.fromarray(stored).save(data, "PNG", exif=exif)
    return Image.open(io.BytesIO(data.getvalue()))


def _deepen(data, stored):
    """A 16-bit PNG of `stored` with the eXIf chunk of the 8-bit file `data`."""
    start = data.index(b"eXIf") - 4
    length = int.from_bytes(data[start : start + 4], "big") + 12
    deep = imagecodecs.png_encode(stored.astype(np.uint16) * 257)
    return deep[:33] + data[start : start + length] + deep[33:]


def test_unreadable_exif_gives_a_note(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", "\nexif\n  4\nno hex")
    image = read_image(saved(tmp_path, Image.fromarray(COLOUR), pnginfo=info))
    assert image.notes == ("its EXIF cannot be read; taken to be upright",)
    np.testing.assert_array_equal(image.rgb, COLOUR.astype(np.float32) / 255)


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize(
    "source", ["XMP of a JPEG", "XMP of a JPEG, single quotes", "XMP of a WebP", "XMP of a PNG", "EXIF in a PNG's text"]
)
def test_orientation_from_other_places(tmp_path, source):
    stored = np.repeat(np.repeat(COLOUR // 2, 8, 0), 8, 1)
    info, exif = PngImagePlugin.PngInfo(), Image.Exif()
    exif[274] = 6
    if source.startswith("XMP of a JPEG"):
        xmp = (XMP.replace('"', "'") if "single" in source else XMP).encode()
        path = saved(tmp_path, Image.fromarray(stored), "a.jpg", xmp=xmp, quality=100, subsampling=0)
    elif source == "XMP of a WebP":
        path = saved(tmp_path, Image.fromarray(stored), "a.webp", xmp=XMP.encode(), lossless=True)
    elif source == "XMP of a PNG":
        info.add_itxt("XML:com.adobe.xmp", XMP)
        path = saved(tmp_path, Image.fromarray(stored), pnginfo=info)
    else:
        text = exif.tobytes()
        info.add_text("Raw profile type exif", f"\nexif\n{len(text):8}\n{text.hex()}\n")
        path = saved(tmp_path, Image.fromarray(stored), pnginfo=info)
    expected = np.rot90(stored, -1)
    assert read_size(path) == expected.shape[:2]
    np.testing.assert_allclose(read_image(path).rgb * 255, expected, atol=3 if path.suffix == ".jpg" else 1e-3)
