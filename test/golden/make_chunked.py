#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HDF5 files whose datasets lie in chunks, filtered and not, as h5py writes them.

Without arguments it writes small-chunked-earliest.h5, -v110.h5 and -latest.h5 beside itself, which were
made with h5py 3.16 (HDF5 2.0: its latest layout is version 5). With --out DIRECTORY it writes into it one
file for each version of the library's layouts, with every combination of shape, chunks and filters, and
with --from FILE a copy of that file, every dataset compressed, shuffled and checksummed, as
DIRECTORY/compressed.h5. --out prints one line of JSON: the files and the datasets in each.

Element i of a dataset is (37 i mod 251) - 125, whatever its type.

  python3 test/golden/make_chunked.py --out build/chunked
"""
import argparse
import json
import os

import h5py
import numpy as np

ALL = {"compression": "gzip", "shuffle": True, "fletcher32": True}
FILTERS = [{}, {"compression": "gzip"}, {"shuffle": True}, {"fletcher32": True}, {"compression": "gzip", "compression_opts": 9, "shuffle": True}, ALL]
SHAPES = [(7,), (64,), (3, 3, 2, 5), (3, 3, 32, 1), (1, 1, 10, 33), (257, 31), (1000,)]
TYPES = ["f4", "i2", "f8"]


def values(shape, dtype):
    return (np.arange(np.prod(shape)) * 37 % 251 - 125).astype(dtype).reshape(shape)


def write(file, name, shape, dtype, chunks, filters):
    file.create_dataset(name, data=values(shape, dtype), chunks=chunks, **filters)


def write_small(path, libver):
    with h5py.File(path, "w", libver=libver) as file:
        write(file, "whole", (5, 3), "f4", (5, 3), {})
        write(file, "plain", (7,), "f4", (3,), {})
        write(file, "zipped", (10, 13), "i2", (4, 5), {"compression": "gzip"})
        write(file, "all", (3, 3, 8, 2), "f4", (3, 2, 8, 2), ALL)
        write(file, "summed", (9,), "f8", (9,), {"fletcher32": True})
        # More than one node of the old tree has room for.
        write(file, "many", (70,), "f4", (1,), {"shuffle": True})


def chunks_of(shape):
    yield True
    yield shape
    yield tuple(max(1, side // 2) for side in shape)
    yield tuple(max(1, side // 3 + 1) for side in shape)
    if np.prod(shape) < 1500:
        yield (1,) * len(shape)


def write_many(path, libver):
    count = 0
    with h5py.File(path, "w", libver=libver) as file:
        for shape in SHAPES + [(1100,)]:
            for chunks in chunks_of(shape):
                for filters in FILTERS:
                    # Few in a group: where there are more, the newer layouts keep links in another way.
                    write(file, f"{count // 36}/{count // 6 % 6}/{count % 6}", shape, TYPES[count % 3], chunks, filters)
                    count += 1
    return count


def copy(source, target):
    target.attrs.update(source.attrs)
    count = 0
    for name, node in source.items():
        if isinstance(node, h5py.Dataset):
            filters = ALL if node.ndim > 0 and node.size > 0 else {}
            target.create_dataset(name, data=node[()], **filters).attrs.update(node.attrs)
            count += 1
        else:
            count += copy(node, target.create_group(name))
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out")
    parser.add_argument("--from", dest="source")
    arguments = parser.parse_args()
    if arguments.out is None:
        folder = os.path.dirname(os.path.abspath(__file__))
        for libver in ("earliest", "v110", "latest"):
            write_small(os.path.join(folder, f"small-chunked-{libver}.h5"), libver)
        return
    os.makedirs(arguments.out, exist_ok=True)
    made = {}
    if arguments.source is None:
        for libver in ("earliest", "v108", "v110", "latest"):
            made[f"{libver}.h5"] = write_many(os.path.join(arguments.out, f"{libver}.h5"), libver)
    else:
        with h5py.File(arguments.source, "r") as source, h5py.File(os.path.join(arguments.out, "compressed.h5"), "w") as target:
            made["compressed.h5"] = copy(source, target)
    print(json.dumps(made))


if __name__ == "__main__":
    main()
