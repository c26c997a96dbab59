# SPDX-License-Identifier: Apache-2.0
"""Writes image.bin and image-photos.json: what Pillow and PyTorch make of synthetic images and of
the photos in test/images, for the tests of image preparation.

Run from the repository root with a Python that has numpy, pillow, torch and torchvision. With
--check nothing is written: what is there is compared with what this Python's Pillow gives, and
torch and torchvision are not needed (the PyTorch cases are then left out).

Pillow must be older than 12.2. From 12.2 on, images over 100 times as tall as wide, and from 13 on
all whose height shrinks much more than their width, are resized vertically first; clipping between
the passes makes high contrast differ by up to 20. Horizontal first is what checkpoints were trained
and measured with, and what this package does.
"""
import argparse
import base64
import hashlib
import json
import math
import pathlib
import struct
import sys

import numpy as np
import PIL
from PIL import Image

try:
    import torch
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as tv
except ImportError:
    torch = None

FOLDER = pathlib.Path(__file__).resolve().parent
MAGIC = b"EFIMAGE1"
FORMATS = ["rgb", "rgba", "bgra", "gray"]
FILTERS = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR, "nearest": Image.NEAREST, "lanczos": Image.LANCZOS,
           "box": Image.BOX, "hamming": Image.HAMMING}
FILTER_NAMES = ["bicubic", "bilinear", "bilinear_plain", "nearest", "lanczos", "box", "hamming"]  # as enum interpolation
PATTERNS = ["noise", "text", "checker", "ramp"]

# name, pattern, width, height, format, filter, squash, crop fraction, out height, out width
CASES = [
    ("photo size, crop", "noise", 451, 300, "rgb", "bicubic", 0, 0.875, 64, 64),
    ("photo size, squash", "text", 451, 300, "rgb", "bicubic", 1, 1.0, 64, 64),
    ("photo size, bilinear", "text", 451, 300, "rgb", "bilinear", 0, 0.875, 64, 64),
    ("tall", "text", 61, 203, "rgb", "bicubic", 0, 0.875, 32, 32),
    ("wide, odd crop", "noise", 203, 61, "rgba", "bicubic", 0, 0.882, 33, 33),
    ("enlarged", "text", 13, 9, "rgb", "bicubic", 0, 0.875, 48, 48),
    ("enlarged, bilinear", "text", 13, 9, "bgra", "bilinear", 1, 1.0, 40, 24),
    ("one pixel", "noise", 1, 1, "rgb", "bicubic", 0, 0.875, 7, 7),
    ("one row", "text", 300, 1, "rgb", "bicubic", 1, 1.0, 11, 13),
    ("one column", "text", 1, 300, "rgb", "bicubic", 1, 1.0, 11, 13),
    ("one row, crop", "noise", 300, 1, "rgb", "bicubic", 0, 0.875, 16, 16),
    ("very wide", "noise", 20000, 3, "rgb", "bicubic", 1, 1.0, 8, 12),
    ("very tall", "noise", 3, 20000, "gray", "bilinear", 1, 1.0, 8, 12),
    ("checkerboard", "checker", 97, 89, "rgb", "bicubic", 0, 0.875, 40, 40),
    ("same size", "noise", 32, 32, "rgb", "bicubic", 0, 1.0, 32, 32),
    ("same height", "text", 90, 32, "rgb", "bicubic", 1, 1.0, 32, 20),
    ("same width", "text", 20, 90, "bgra", "bicubic", 1, 1.0, 32, 20),
    ("crop without resize", "noise", 50, 37, "gray", "bicubic", 0, 0.875, 32, 32),
    ("not square", "ramp", 120, 90, "rgb", "bicubic", 0, 0.875, 24, 40),
    ("not square, tall", "noise", 90, 121, "rgba", "bilinear", 0, 0.9, 40, 24),
    ("grey", "ramp", 71, 83, "gray", "bicubic", 0, 0.9375, 24, 24),
    ("one output pixel", "noise", 40, 30, "rgb", "bicubic", 0, 1.0, 1, 1),
    ("plain, squash", "noise", 451, 300, "rgb", "bilinear_plain", 1, 1.0, 28, 28),
    ("plain, enlarged", "text", 13, 9, "rgb", "bilinear_plain", 1, 1.0, 30, 22),
    ("plain, crop", "noise", 61, 47, "bgra", "bilinear_plain", 0, 0.875, 28, 28),
    ("plain, one pixel", "noise", 1, 1, "gray", "bilinear_plain", 1, 1.0, 3, 2),
    ("plain, one row", "noise", 37, 1, "rgba", "bilinear_plain", 1, 1.0, 5, 9),
    ("plain, same size", "noise", 12, 10, "rgb", "bilinear_plain", 1, 1.0, 10, 12),
    ("squash, crop", "text", 131, 90, "rgb", "bicubic", 1, 0.875, 28, 28),
    ("squash, odd crop", "noise", 61, 203, "gray", "bilinear", 1, 0.882, 33, 21),
    ("squash, plain, crop", "noise", 61, 47, "rgb", "bilinear_plain", 1, 0.9, 18, 14),
    ("nearest, squash", "noise", 451, 300, "rgb", "nearest", 1, 1.0, 61, 64),
    ("nearest, crop", "noise", 203, 61, "rgba", "nearest", 0, 0.875, 33, 33),
    ("nearest, enlarged", "noise", 13, 9, "bgra", "nearest", 1, 0.9, 48, 29),
    ("nearest, very wide", "noise", 20000, 3, "gray", "nearest", 1, 1.0, 8, 133),
    ("nearest, same height", "noise", 90, 32, "rgb", "nearest", 1, 1.0, 32, 20),
    ("lanczos, crop", "text", 203, 161, "rgb", "lanczos", 0, 0.875, 33, 33),
    ("lanczos, enlarged", "noise", 13, 9, "rgb", "lanczos", 1, 1.0, 24, 19),
    ("box, crop", "noise", 203, 161, "rgb", "box", 0, 0.875, 33, 33),
    ("box, enlarged", "text", 13, 9, "rgb", "box", 1, 1.0, 24, 19),
    ("hamming, crop", "noise", 203, 161, "rgb", "hamming", 0, 0.875, 33, 33),
    ("hamming, enlarged", "text", 13, 9, "rgb", "hamming", 1, 1.0, 24, 19),
]


def mix(x, y, c):
    """A hash of 32-bit integers; image_fixture.h has the same."""
    h = (x * 0x9E3779B1 ^ y * 0x85EBCA77 ^ c * 0xC2B2AE3D) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    h = ((h ^ (h >> 12)) * 0x297A2D39) & 0xFFFFFFFF
    return h ^ (h >> 15)


def pattern(name, width, height):
    """height x width x 4 bytes: red, green, blue, and alpha that nothing may depend on."""
    y, x, c = np.meshgrid(np.arange(height, dtype=np.uint64), np.arange(width, dtype=np.uint64),
                          np.arange(4, dtype=np.uint64), indexing="ij")
    if name == "noise":
        v = mix(x, y, c) >> 24
    elif name == "text":  # blocks of letters' size, black and white, a line at every seventh row
        v = np.where(y % 7 == 3, 0, (mix(x // 2, y // 3, 5 + c * 0) & 1) * 255)
    elif name == "checker":
        v = ((x + y + c) & 1) * 255
    else:
        v = (x * 3 + y * 5 + c * 40) & 255
    v = v.astype(np.uint8)
    v[..., 3] = (mix(x, y, c) >> 16)[..., 3] & 255
    return v


def rgb_of(pixels, format):
    """What the image of that format shows; grey images hold the red of the pattern."""
    return np.repeat(pixels[..., :1], 3, axis=2) if format == "gray" else pixels[..., :3]


def geometry(width, height, squash, crop, out_h, out_w):
    """Resized width and height, and the crop's left and top."""
    target_h, target_w = math.floor(out_h / crop), math.floor(out_w / crop)
    if squash:
        w, h = target_w, target_h
    elif target_h == target_w:
        short, long = sorted((width, height))
        other = int(target_h * long / short)
        w, h = (target_h, other) if width <= height else (other, target_h)
    else:
        ratio = min(height / target_h, width / target_w)
        w, h = round(width / ratio), round(height / ratio)
    return w, h, int(round((w - out_w) / 2.0)), int(round((h - out_h) / 2.0))


def with_pillow(rgb, filter, squash, crop, out_h, out_w):
    image = Image.fromarray(np.ascontiguousarray(rgb))
    w, h, left, top = geometry(image.width, image.height, squash, crop, out_h, out_w)
    out = np.asarray(image.resize((w, h), FILTERS[filter]))[top:top + out_h, left:left + out_w]
    if torch is not None and not squash and out_h == out_w:
        size = math.floor(out_h / crop)
        mode = InterpolationMode(filter)
        reference = tv.center_crop(tv.resize(image, size, mode), [out_h, out_w])
        assert np.array_equal(out, np.asarray(reference)), "the geometry is not torchvision's"
    return out


def with_torch(rgb, squash, crop, out_h, out_w):
    w, h, left, top = geometry(rgb.shape[1], rgb.shape[0], squash, crop, out_h, out_w)
    x = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1))).float()[None]
    y = torch.nn.functional.interpolate(x, size=(h, w), mode="bilinear", align_corners=False, antialias=False)
    return y[0].numpy().transpose(1, 2, 0)[top:top + out_h, left:left + out_w].astype("<f4")


def case_bytes(case):
    """Header and result of one case, or None where torch is needed and missing."""
    name, kind, width, height, format, filter, squash, crop, out_h, out_w = case
    rgb = rgb_of(pattern(kind, width, height), format)
    header = struct.pack("<32s9id", name.encode(), PATTERNS.index(kind), width, height, FORMATS.index(format),
                         FILTER_NAMES.index(filter), squash, out_h, out_w, 0, crop)
    if filter == "bilinear_plain":
        return None if torch is None else header + with_torch(rgb, squash, crop, out_h, out_w).tobytes()
    return header + with_pillow(rgb, filter, squash, crop, out_h, out_w).tobytes()


def case_length(case):
    return struct.calcsize("<32s9id") + case[8] * case[9] * 3 * (4 if case[5] == "bilinear_plain" else 1)


def photos():
    """Pillow's bytes for the photos: their SHA-256, and every 14th row."""
    result = []
    for name in ("chelsea", "coffee"):
        rgb = np.asarray(Image.open(FOLDER.parent / "images" / (name + ".png")).convert("RGB"))
        for filter, squash in (("bicubic", 0), ("bicubic", 1), ("bilinear", 0)):
            crop = 1.0 if squash else 0.875
            out = np.ascontiguousarray(with_pillow(rgb, filter, squash, crop, 224, 224))
            result.append({
                "image": name + ".png", "mode": "squash" if squash else "center-crop", "cropFraction": crop,
                "interpolation": filter, "size": 224, "sha256": hashlib.sha256(out.tobytes()).hexdigest(),
                "everyRow": 14, "rows": base64.b64encode(out[::14].tobytes()).decode(),
            })
    return json.dumps(result, indent=1) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    if tuple(int(part) for part in PIL.__version__.split(".")[:2]) >= (12, 2):
        sys.exit(f"Expected a Pillow older than 12.2, found {PIL.__version__}: pip install 'pillow<12.2'")
    cases = [case_bytes(case) for case in CASES]
    binary, listing = FOLDER / "image.bin", FOLDER / "image-photos.json"
    if not check:
        binary.write_bytes(MAGIC + struct.pack("<ii", len(cases), 0) + b"".join(cases))
        listing.write_text(photos())
        return 0
    stored, at, differing = binary.read_bytes(), len(MAGIC) + 8, 0
    for case, made in zip(CASES, cases):
        length = case_length(case)
        differing += made is not None and stored[at:at + length] != made
        at += length
    differing += listing.read_text() != photos()
    print(f"Pillow {PIL.__version__}: {differing} of {len(cases) + 1} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
