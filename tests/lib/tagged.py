#!/usr/bin/env python3
"""tagged.py FILE corrupt|misplace: spoil one page of the witness's in a file of guest RAM or in a raw image.

Finds pages by their look (the second half repeats the first word); needs nothing from the guest.
"""
import mmap
import struct
import sys

PAGE = 4096
HALF = PAGE // 2


def tagged_pages(data):
    for offset in range(0, len(data) - PAGE + 1, PAGE):
        name = data[offset:offset + 8]
        if name != bytes(8) and data[offset + PAGE - 8:offset + PAGE] == name \
                and data[offset + HALF:offset + PAGE] == name * (HALF // 8) \
                and data[offset + 8:offset + 16] != name and struct.unpack("<Q", name)[0] >> 32 < 1 << 24:
            yield offset


def main():
    path, how = sys.argv[1:]
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as data:
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
