# SPDX-License-Identifier: MIT
"""recorded.py EXTMEM DRIVER TRACE...: the models on recorded traces. For every
algorithm, in pages and in granules, at several limits: each access has the
same answer of the real code as of the model, and `extmem policy simulate`
counts as many misses as the model has; its optimum those of a plain Belady. Speaks TAP."""

import json
import os
import subprocess
import sys

from compare import Caller, run
from models import MODELS

LIMITS = (10, 25, 50)
PAGES_MAX = 3000  # a model searches its lists from end to end


def extmem(command, *args):
    return subprocess.run([command, *args], check=True, capture_output=True,
                          text=True).stdout


def pages_of(command, trace):
    """The page of each fault, by the CSV."""
    lines = extmem(command, "dump", "trace", "--format", "csv", trace).splitlines()
    assert lines[0].split(",")[1] == "obj_id", lines[0]
    return [int(line.split(",")[1]) for line in lines[1:]]


def granule_pages(command, trace):
    """Pages of a granule, from the file: bytes 20 to 27, extmem-trace(5)."""
    with open(trace, "rb") as f:
        head = f.read(28)
    return int.from_bytes(head[24:28], "little") // int.from_bytes(head[20:24], "little")


def numbered(units):
    numbers = {}
    return [numbers.setdefault(u, len(numbers)) for u in units]


def belady(units, c):
    """Misses when that leaves whose next use is farthest."""
    later, nexts = {}, [0] * len(units)
    for i in range(len(units) - 1, -1, -1):
        nexts[i] = later.get(units[i], len(units))
        later[units[i]] = i
    inside, misses = {}, 0
    for i, unit in enumerate(units):
        if unit not in inside:
            misses += 1
            if len(inside) == c:
                del inside[max(inside, key=inside.get)]
        inside[unit] = nexts[i]
    return misses


def complaint_of(driver, name, units, limits, counted):
    """None, or what is wrong with one algorithm; counted: the simulator's misses."""
    lines = ["a %d" % u for u in units]
    for c, misses in zip(limits, counted):
        if name == "optimum":
            want = belady(units, c)
        else:
            different = run(driver, name, c, {}, lines)
            if different:
                return "limit %d: %s" % (c, different)
            caller = Caller(MODELS[name](c), c)
            want = sum(caller.answer(line) != "hit" for line in lines)
        if misses != want:
            return "limit %d: the simulator has %d misses, the model %d" % (c, misses, want)
    return None


def check(command, driver, trace, unit, units, number):
    units = numbered(units)
    limits = [max(1, p * (max(units) + 1) // 100) for p in LIMITS]
    result = json.loads(extmem(command, "policy", "simulate", "--trace", trace, "--unit", unit,
                               "--json", "--limits", ",".join(map(str, limits))))
    what = "%s by %s" % (os.path.basename(trace), unit)
    print("# %s: %d faults, %d units" % (what, len(units), max(units) + 1))
    whole = result["references"] == len(units) and result["pages"] == max(units) + 1
    print("%sok %d - %s: as many references" % ("" if whole else "not ", number, what))
    for a in result["algorithms"]:
        number += 1
        complaint = complaint_of(driver, a["name"], units, limits, a["misses"])
        print("%sok %d - %s: %s" % ("not " if complaint else "", number, what, a["name"]))
        if complaint:
            print("# " + complaint)
    return number + 1


def main(command, driver, traces):
    number = 1
    for trace in traces:
        pages = pages_of(command, trace)
        size = granule_pages(command, trace)
        number = check(command, driver, trace, "granule", [p // size for p in pages], number)
        if len(set(pages)) <= PAGES_MAX:
            number = check(command, driver, trace, "page", pages, number)
    print("1..%d" % (number - 1))


main(sys.argv[1], sys.argv[2], sys.argv[3:])
