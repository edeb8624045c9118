import io
import os
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps, PngImagePlugin

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import bombs, decode, read_image, read_rgb_uint8, read_size, write_image

RNG = np.random.default_rng(0)
COLOR = RNG.integers(0, 256, (5, 7, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (5, 7, 3), np.uint16)
ICC = b"\0" * 16 + b"RGB XYZ " + b"\0" * 104


def saved(folder, image, name="a.png", **options):
    path = folder / name
    image.save(path, **options)
    return path


def test_eight_bit_rgb_comes_back_exactly(tmp_path):
    photo = read_image(saved(tmp_path, Image.fromarray(COLOR)))
    np.testing.assert_array_equal(photo.rgb, COLOR.astype(np.float32) / 255)
    assert (photo.bits, photo.alpha, photo.gray, photo.notes) == (8, None, False, ())
    assert photo.rgb.dtype == np.float32


@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_written_is_read(tmp_path, bits):
    image = DEEP.astype(np.float32) / 65535
    write_image(tmp_path / "sub" / "a.png", image, bits=bits, icc=ICC)
    photo = read_image(tmp_path / "sub" / "a.png")
    assert photo.bits == bits
    assert photo.icc == ICC
    assert np.abs(photo.rgb - image).max() <= 0.5 / (2**bits - 1) + 1e-7
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["a.png"]


@pytest.mark.parametrize("bits", [8, 16])
def test_alpha_is_written_as_a_fourth_channel(tmp_path, bits):
    image = RNG.random((4, 3, 4), np.float32)
    write_image(tmp_path / "a.png", image, bits=bits)
    photo = read_image(tmp_path / "a.png")
    np.testing.assert_allclose(np.dstack([photo.rgb, photo.alpha]), image, atol=0.51 / (2**bits - 1))


def test_sixteen_bits_of_color_survive_in_png_and_tiff(tmp_path):
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(DEEP))
    tifffile.imwrite(tmp_path / "b.tif", DEEP, photometric="rgb", compression="deflate")
    tifffile.imwrite(tmp_path / "c.tif", np.moveaxis(DEEP, -1, 0), photometric="rgb", planarconfig="separate")
    for name in ("a.png", "b.tif", "c.tif"):
        photo = read_image(tmp_path / name)
        assert photo.bits == 16
        np.testing.assert_array_equal(np.rint(photo.rgb * 65535), DEEP)


def test_sixteen_bit_gray_png_tiff_and_pgm(tmp_path):
    gray = DEEP[..., 0].copy()
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(gray))
    tifffile.imwrite(tmp_path / "b.tif", gray, photometric="minisblack")
    tifffile.imwrite(tmp_path / "c.tif", 65535 - gray, photometric="miniswhite")
    (tmp_path / "d.pgm").write_bytes(b"P5 7 5 65535\n" + gray.astype(">u2").tobytes())
    for name in ("a.png", "b.tif", "c.tif", "d.pgm"):
        photo = read_image(tmp_path / name)
        assert (photo.bits, photo.gray) == (16, True), name
        np.testing.assert_array_equal(np.rint(photo.rgb * 65535), np.dstack([gray] * 3), err_msg=name)


def test_sixteen_bit_gray_with_alpha_is_gray(tmp_path):
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(DEEP[..., :2].copy()))
    photo = read_image(tmp_path / "a.png")
    assert photo.gray
    np.testing.assert_array_equal(np.rint(photo.rgb[..., 1] * 65535), DEEP[..., 0])
    np.testing.assert_array_equal(np.rint(photo.alpha * 65535), DEEP[..., 1])


def test_sixteen_bit_alpha_is_kept_apart(tmp_path):
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.dstack([DEEP, DEEP[..., :1]])))
    photo = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(np.rint(photo.alpha * 65535), DEEP[..., 0])
    np.testing.assert_array_equal(np.rint(photo.rgb * 65535), DEEP)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr"])
def test_modes_agree_with_pillow(tmp_path, mode):
    name = "a.tif" if mode in ("CMYK", "YCbCr", "PA") else "a.png"
    source = Image.fromarray(np.dstack([COLOR, COLOR[..., :1]]))
    image = source.convert("RGB").convert(mode) if mode != "PA" else source.convert("RGB").convert("P").convert("PA")
    if mode == "PA":
        name = "a.png"
        image = image.convert("RGBA")
    photo = read_image(saved(tmp_path, image, name))
    expected = np.asarray(Image.open(tmp_path / name).convert("RGB"), np.float32) / 255
    np.testing.assert_array_equal(photo.rgb, expected)
    assert (photo.alpha is not None) == (mode in ("LA", "PA", "RGBA"))
    assert photo.gray == (mode in ("1", "L", "LA"))


def test_a_transparent_palette_color_is_alpha(tmp_path):
    image = Image.fromarray((COLOR[..., 0] % 4).astype(np.uint8), mode="P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    photo = read_image(saved(tmp_path, image, transparency=2))
    np.testing.assert_array_equal(photo.alpha == 0, COLOR[..., 0] % 4 == 2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "deep.png", "deep.tif"])
def test_orientation_is_applied_once(tmp_path, orientation, kind):
    stored = np.repeat(np.repeat(COLOR // 2, 8, 0), 8, 1)
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


def test_the_first_frame_of_an_animation_is_read_with_a_note(tmp_path):
    frames = [Image.fromarray(COLOR[..., k]) for k in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    photo = read_image(tmp_path / "a.gif")
    assert photo.notes == ("first of 3 frames",)
    np.testing.assert_array_equal(photo.rgb[..., 0] * 255, COLOR[..., 0])


def test_a_gray_profile_is_not_put_on_a_color_image(tmp_path):
    gray = Image.fromarray(COLOR[..., 0])
    assert read_image(saved(tmp_path, gray, icc_profile=ICC.replace(b"RGB ", b"GRAY"))).icc is None


def _file(name, data):
    def make(folder):
        (folder / name).write_bytes(data)
        return folder / name

    return make


def _png_bytes(image):
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "none.png", "no such file"),
        (lambda folder: folder, "not a file"),
        (_file("a.jpg", b"not an image"), "not an image"),
        (_file("a.png", b""), "an empty file"),
        (_file("a.png", _png_bytes(Image.fromarray(COLOR))[:-30]), "cannot be decoded"),
        (_file("a.png", imagecodecs.png_encode(DEEP)[:120]), "cannot be decoded"),
        (lambda folder: saved(folder, Image.fromarray(COLOR[..., 0].astype(np.float32)), "a.tif"), "floating-point"),
    ],
)
def test_bad_files_are_one_line_with_their_name(tmp_path, make, reason):
    path = make(tmp_path)
    with pytest.raises(UserError, match=reason) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_decompression_bomb_is_one_line(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(COLOR))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UserError, match="more than 20 pixels"):
        read_image(path)


def test_values_that_are_not_finite_are_not_written(tmp_path):
    with pytest.raises(UserError, match="not finite"):
        write_image(tmp_path / "a.png", np.full((2, 2, 3), np.nan, np.float32))
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", COLOR)
    before = (tmp_path / "a.png").read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_image(tmp_path / "a.png", COLOR[::-1])
    assert (tmp_path / "a.png").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UserError, match="not a file"):
        read_image(tmp_path / "a.png")


def test_small_files_that_claim_or_are_enormous_images_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(_png_bytes(Image.new("1", (10_000, 1_000))))
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2D\1\0;"
    (tmp_path / "b.gif").write_bytes(b"GIF89a" + struct.pack("<HHBBB", 13_000, 13_000, 0x80, 0, 0) + bytes(6) + frame)
    (tmp_path / "c.ppm").write_bytes(b"P6 13000 13000 255\n" + bytes(100))
    for name in ("a.png", "b.gif", "c.ppm"):
        with pytest.raises(UserError, match=r"claims 1\d000x1\d?000 pixels in \d+ bytes"):
            read_image(tmp_path / name)
        for read in (read_rgb_uint8, read_size):
            with pytest.raises(UserError, match=r"claims 1\d000x1\d?000 pixels"):
                read(tmp_path / name)


def test_a_jpeg_whose_header_claims_more_than_its_bytes_can_hold_is_refused(tmp_path):
    data = saved(tmp_path, Image.fromarray(COLOR), "a.jpg").read_bytes()
    frame = data.index(b"\xff\xc0\0")
    (tmp_path / "a.jpg").write_bytes(data[: frame + 5] + struct.pack(">HH", 30_000, 255) + data[frame + 9 :])
    with pytest.raises(UserError, match="claims 255x30000 pixels"):
        read_image(tmp_path / "a.jpg")


def test_a_large_photo_is_no_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(bombs, "MANY_PIXELS", 10)
    noise = RNG.normal(1, 1, (500, 400, 3)).clip(0, 255).astype(np.uint8)  # as dark as they come
    for name, options in (("a.jpg", {"quality": 70}), ("a.png", {}), ("a.webp", {}), ("b.jpg", {"progressive": True})):
        assert read_image(saved(tmp_path, Image.fromarray(noise), name, **options)).rgb.shape == (500, 400, 3)
    black = Image.new("RGB", (400, 500))
    for options in ({}, {"optimize": True}, {"progressive": True}):
        assert read_image(saved(tmp_path, black, "black.jpg", **options)).rgb.max() == 0


def test_unreadable_exif_is_a_note(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", "\nexif\n  4\nno hex")
    photo = read_image(saved(tmp_path, Image.fromarray(COLOR), pnginfo=info))
    assert photo.notes == ("its EXIF cannot be read; taken to be upright",)
    np.testing.assert_array_equal(photo.rgb, COLOR.astype(np.float32) / 255)


def test_a_tiff_of_more_samples_than_pixels_is_refused_before_it_is_read(tmp_path):
    data = io.BytesIO()
    tifffile.imwrite(data, DEEP, photometric="rgb")
    entry = data.getvalue().index(struct.pack("<HHI", 282, 5, 1))  # XResolution becomes ImageDepth
    lie = struct.pack("<HHII", 32997, 4, 1, 100_000)
    (tmp_path / "a.tif").write_bytes(data.getvalue()[:entry] + lie + data.getvalue()[entry + 12 :])
    with pytest.raises(UserError, match="claims 10500000 samples of 7x5 pixels"):
        read_image(tmp_path / "a.tif")


def test_formats_that_start_other_programs_are_refused(tmp_path):
    with pytest.raises(UserError, match="EPS is not read"):
        read_image(saved(tmp_path, Image.fromarray(COLOR), "a.eps"))


@pytest.mark.parametrize("error", [TypeError, AttributeError, ZeroDivisionError, OverflowError, AssertionError])
def test_whatever_a_decoder_raises_is_one_line(tmp_path, monkeypatch, error):
    path = saved(tmp_path, Image.fromarray(COLOR))

    def fail(*_, **__):
        raise error("inside")

    monkeypatch.setattr(decode, "_decode_pillow", fail)
    with pytest.raises(UserError, match=r"a\.png: cannot be decoded \(inside\)"):
        read_image(path)


def test_the_longest_name_can_be_written(tmp_path):
    name = "n" * 251 + ".png"
    write_image(tmp_path / name, COLOR)
    assert [p.name for p in tmp_path.iterdir()] == [name]
