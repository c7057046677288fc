#!/usr/bin/env python3
"""rows.py IMAGE row|page: spoil one row, or the head of one page, of the witness's database in a raw image.

Finds the database's leaf pages by their look (a page of the file system that is one of SQLite's, with rows in it);
SQLite overwrites what it gives up, and pages in its journal do not lie at such places.
"""
import mmap
import sys

PAGE = 4096
TABLE_LEAF = 0x0d
MARK = b"vmferry-row "
BYTE = 60  # of a row's payload: within the shortest


def leaf_pages(data):
    for offset in range(0, len(data) - PAGE + 1, PAGE):
        if data[offset] == TABLE_LEAF and data.find(MARK, offset, offset + PAGE - 2 * BYTE) >= 0:
            yield offset


def main():
    path, what = sys.argv[1:]
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        pages = list(leaf_pages(data))
        if len(pages) < 10:
            sys.exit(f"{path}: only {len(pages)} pages of the database found")
        page = pages[len(pages) // 2]
        if what == "row":
            at = data.find(MARK, page, page + PAGE)
            data[at + BYTE] ^= 1
            print(f"row: {data[at:at + 24].split(bytes(1))[0]} at {at}")
        elif what == "page":
            data[page:page + 8] = b"\xff" * 8
            print(f"page: at {page}")
        else:
            sys.exit(__doc__)


main()
