#!/bin/bash
# SPDX-License-Identifier: MIT
# A python3 that builds a large dictionary, looks up every key and sums.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools python3
cat >"$scratch/dict.py" <<'END'
import sys

count = int(sys.argv[1])
squares = {}
for i in range(count):
    squares["key %d" % i] = i * i
print(len(squares), sum(squares.values()))
found = 0
for i in range(count - 1, -1, -1):
    if squares["key %d" % i] != i * i:
        sys.exit("key %d is wrong" % i)
    found += 1
print(found)
for i in range(0, count, 997):
    print(i, squares["key %d" % i])
END
command=(python3 "$scratch/dict.py" "$(by_size 200000 3000000)")
export PYTHONHASHSEED=0
run_alone "$scratch/alone" "${command[@]}"
run_managed "$scratch/managed" "${command[@]}"
same_output "$scratch/alone" "$scratch/managed"
tap_done
