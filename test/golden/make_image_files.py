# SPDX-License-Identifier: Apache-2.0
"""Writes image-files.json: small encoded images of many kinds, and the RGB that Pillow makes of each
by ImageOps.exif_transpose(...).convert("RGB"), for the tests of decoding.

Run from the repository root with a Python that has numpy and pillow 11.3 or later (for AVIF).
"""
import base64
import io
import json
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms, ImageOps

FOLDER = pathlib.Path(__file__).resolve().parent
WIDTH, HEIGHT = 18, 12
random = np.random.default_rng(3)
photo = Image.open(FOLDER.parent / "images" / "chelsea.png").convert("RGB").crop((120, 60, 120 + WIDTH, 60 + HEIGHT))
pixels = np.asarray(photo)
noise = Image.fromarray(random.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8))
negative = Image.fromarray(255 - pixels)


def encode(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def orientation(value):
    exif = Image.Exif()
    exif[0x112] = value
    return exif


def png(depth, colour, rows, *chunks):
    """A PNG made by hand, for what Pillow does not write."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, 0))
            + b"".join(chunk(*one) for one in chunks) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b""))


def odd_profile():
    """sRGB with the red and green primaries exchanged: whoever applies it is found out."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    places = {}
    for i in range(struct.unpack(">I", profile[128:132])[0]):
        name, offset, size = struct.unpack(">4sII", profile[132 + 12 * i:144 + 12 * i])
        places[name] = slice(offset, offset + size)
    red, green = places[b"rXYZ"], places[b"gXYZ"]
    profile[red], profile[green] = profile[green], profile[red]
    return bytes(profile)


def files():
    """name, bytes, the RGB expected where it is not Pillow's, and what may differ per byte."""
    grey = photo.convert("L")
    rgba = photo.copy()
    rgba.putalpha(noise)
    palette = photo.quantize(32)
    inks = Image.merge("CMYK", [*photo.split(), noise])
    rich = (pixels.astype(np.uint16) * 256 + random.integers(0, 256, pixels.shape)).astype(">u2")
    rich_grey = (np.asarray(grey).astype(np.uint16) * 256 + random.integers(0, 256, (HEIGHT, WIDTH))).astype(np.uint16)
    high_bytes = np.repeat((rich_grey >> 8).astype(np.uint8)[..., None], 3, axis=2)

    yield "rgb.png", encode(photo, "PNG"), None, 0
    yield "gray.png", encode(grey, "PNG"), None, 0
    yield "gray-alpha.png", encode(Image.merge("LA", (grey, noise)), "PNG"), None, 0
    yield "rgba.png", encode(rgba, "PNG"), None, 0
    yield "bilevel.png", encode(photo.convert("1"), "PNG"), None, 0
    yield "palette.png", encode(palette, "PNG"), None, 0
    yield "palette-transparent.png", encode(palette, "PNG", transparency=3), None, 0
    yield "colour-key.png", png(8, 2, pixels, (b"tRNS", struct.pack(">HHH", *pixels[5, 5].tolist()))), None, 0
    yield "gamma.png", png(8, 2, pixels, (b"gAMA", struct.pack(">I", 100000))), None, 0
    yield "rgb16.png", png(16, 2, rich), None, 0
    yield "gray16.png", encode(Image.fromarray(rich_grey), "PNG"), high_bytes, 0
    yield "profile.png", encode(photo, "PNG", icc_profile=odd_profile()), None, 0
    yield "animated.png", encode(photo, "PNG", save_all=True, append_images=[negative]), None, 0
    yield "rgb.jpg", encode(photo, "JPEG", quality=88), None, 2
    yield "rgb-444.jpg", encode(photo, "JPEG", quality=95, subsampling=0), None, 2
    yield "progressive.jpg", encode(photo, "JPEG", quality=80, progressive=True), None, 2
    yield "odd-size.jpg", encode(photo.crop((0, 0, 17, 11)), "JPEG", quality=80), None, 2
    yield "gray.jpg", encode(grey, "JPEG"), None, 2
    yield "cmyk.jpg", encode(inks, "JPEG", quality=92), None, 2
    yield "profile.jpg", encode(photo, "JPEG", icc_profile=odd_profile()), None, 2
    for value in range(1, 9):
        yield f"orientation-{value}.jpg", encode(photo, "JPEG", exif=orientation(value)), None, 2
    yield "orientation-6.png", encode(photo, "PNG", exif=orientation(6)), None, 0
    yield "lossless.webp", encode(rgba, "WEBP", lossless=True, exact=True), None, 0
    yield "lossy.webp", encode(photo, "WEBP", quality=80), None, 0
    yield "profile.webp", encode(photo, "WEBP", lossless=True, icc_profile=odd_profile()), None, 0
    yield "animated.webp", encode(photo, "WEBP", lossless=True, save_all=True, append_images=[negative]), None, 0
    yield "plain.gif", encode(palette, "GIF"), None, 0
    yield "animated.gif", encode(photo, "GIF", save_all=True, append_images=[negative]), None, 0
    black_holes = np.asarray(palette.convert("RGB")).copy()
    black_holes[np.asarray(palette) == 3] = 0
    yield "transparent.gif", encode(palette, "GIF", transparency=3), black_holes, 0
    yield "rgb.tif", encode(photo, "TIFF"), None, 0
    yield "pages.tif", encode(photo, "TIFF", save_all=True, append_images=[negative]), None, 0
    yield "cmyk.tif", encode(inks, "TIFF"), None, 0
    yield "colour.avif", encode(photo, "AVIF", quality=80), None, 16


def main():
    listing = []
    for name, data, expected, tolerance in files():
        if expected is None:
            expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
        listing.append({
            "name": name, "width": expected.shape[1], "height": expected.shape[0], "tolerance": tolerance,
            "file": base64.b64encode(data).decode(), "rgb": base64.b64encode(expected.tobytes()).decode(),
        })
    lines = ",\n".join(json.dumps(one) for one in listing)
    (FOLDER / "image-files.json").write_text(f"[\n{lines}\n]\n")


main()
