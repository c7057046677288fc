#!/usr/bin/env python3
"""tagged.py FILE corrupt|misplace: spoil one page of the witness's in a file of guest RAM or in a raw image.
tagged.py FILE fill: fill a raw image with pages that look like the witness's, each with its index.
tagged.py FILE corrupt-index N: spoil the page with this index, wherever it is found.
tagged.py FILE count: how many there are, and how many look like noise: tagged=N noise=N.

Finds pages by their look (the second half repeats the first word); needs nothing from the guest.
"""
import mmap
import os
import random
import struct
import sys
import zlib

PAGE = 4096
HALF = PAGE // 2


def tagged_pages(data):
    for offset in range(0, len(data) - PAGE + 1, PAGE):
        name = data[offset:offset + 8]
        if name != bytes(8) and data[offset + PAGE - 8:offset + PAGE] == name \
                and data[offset + HALF:offset + PAGE] == name * (HALF // 8) \
                and data[offset + 8:offset + 16] != name and struct.unpack("<Q", name)[0] >> 32 < 1 << 24:
            yield offset


def fill(path):
    with open(path, "r+b") as file:
        for index in range(os.path.getsize(path) // PAGE):
            name = struct.pack("<Q", index << 32 | 1)
            file.write(name + random.randbytes(HALF - 8) + name * (HALF // 8))


def corrupt_index(data, index):
    found = [offset for offset in tagged_pages(data) if struct.unpack_from("<Q", data, offset)[0] == index << 32 | 1]
    if not found:
        sys.exit(f"no page with index {index} found")
    for offset in found:
        data[offset + 1000] ^= 1
    print(f"corrupt: index {index}, at {found}")


def is_noise(page):
    return page[HALF:HALF + 8] != page[HALF + 8:HALF + 16] and len(zlib.compress(page, 1)) > 0.99 * PAGE


def count(data):
    noise = sum(is_noise(data[offset:offset + PAGE]) for offset in range(0, len(data) - PAGE + 1, PAGE))
    print(f"tagged={sum(1 for _ in tagged_pages(data))} noise={noise}")


def main():
    path, how = sys.argv[1:3]
    if how == "fill":
        return fill(path)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        if how == "count":
            return count(data)
        if how == "corrupt-index":
            return corrupt_index(data, int(sys.argv[3]))
        pages = tagged_pages(data)
        # The first few may be copies that have been given up; those in the middle are owned.
        found = [offset for _, offset in zip(range(64), pages)]
        if len(found) < 40:
            sys.exit(f"{path}: only {len(found)} pages of the witness's found")
        one, other = found[-1], found[-20]
        if how == "corrupt":
            data[one + 1000] ^= 1
        elif how == "misplace":
            data[one:one + PAGE] = data[other:other + PAGE]
        else:
            sys.exit(__doc__)
        print(f"{how}: the page at {one}")


main()
