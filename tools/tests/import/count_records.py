"""Counts the records of CSV files that aren't blank: the second opinion on how many rows a file has.

Reads a JSON list of [path, encoding, delimiter] from standard input, writes a list of pairs of numbers: with quotes that open a
cell only at its beginning, and also after spaces.
"""

import csv
import json
import sys


def count(path: str, encoding: str, delimiter: str, spaces: bool) -> int:
    with open(path, encoding=encoding, errors="replace", newline="") as file:
        records = csv.reader(file, delimiter=delimiter, skipinitialspace=spaces)
        return sum(any(cell.strip(" \t\r\n\f") for cell in record) for record in records)


json.dump([[count(*file, False), count(*file, True)] for file in json.load(sys.stdin)], sys.stdout)
