#!/usr/bin/env python3
"""rows.py IMAGE row|page: spoil one row, or the head of one page, of the witness's database in a raw image.

Finds the database's leaf pages by their look (a page of the file system that is one of SQLite's, with rows in it). What
SQLite gave up can look like one, too: only a row that is in no other page is taken. It is one of the newer half, as those
that the guest spoils by itself are of the older.
"""
import collections
import mmap
import sys

PAGE = 4096
TABLE_LEAF = 0x0d
MARK = b"vmferry-row "
BYTE = 60  # offset of the byte in a row's payload: within the shortest


def varint(data, at):
    value = 0
    while data[at] & 0x80:
        value = value << 7 | data[at] & 0x7f
        at += 1
    return value << 7 | data[at], at + 1


def rows(page):
    """yields (id, where its payload begins in the page)"""
    cells = int.from_bytes(page[3:5], "big")
    for i in range(min(cells, PAGE // len(MARK))):
        cell = int.from_bytes(page[8 + 2 * i:10 + 2 * i], "big")
        if not 8 + 2 * cells <= cell < PAGE - 2 * BYTE:
            return
        row, record = varint(page, varint(page, cell)[1])
        payload = page.find(MARK, record, record + BYTE)
        if payload >= 0:
            yield row, payload


def main():
    path, what = sys.argv[1:]
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        found = []  # (id of its newest row, where that is in it, where it is)
        seen = collections.Counter()
        for offset in range(0, len(data) - PAGE + 1, PAGE):
            if data[offset] == TABLE_LEAF and (in_page := list(rows(data[offset:offset + PAGE]))):
                seen.update(row for row, _ in in_page)
                found.append((*in_page[-1], offset))
        pages = sorted(page for page in found if seen[page[0]] == 1)
        if len(pages) < 10:
            sys.exit(f"{path}: only {len(pages)} pages of the database found")
        row, payload, page = pages[len(pages) * 3 // 4]
        if what == "row":
            data[page + payload + BYTE] ^= 1
            print(f"row {row}: at {page + payload}")
        elif what == "page":
            data[page:page + 8] = b"\xff" * 8
            print(f"page of row {row}: at {page}")
        else:
            sys.exit(__doc__)


main()
