#!/bin/bash
# SPDX-License-Identifier: MIT
# python3's multiprocessing: a pool of forked workers that read what the parent
# built before the fork, build data of their own and send results through pipes.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools python3
cat >"$scratch/pool.py" <<'END'
import hashlib
import multiprocessing
import sys

def work(job):
    i, n = job
    own = {"k%d" % j: j * i % 9973 for j in range(n)}
    total = sum(own[k] for k in sorted(own))
    return i, total, hashlib.sha256(repr(inherited[i::97]).encode()).hexdigest()

def put(queue, i, n):
    queue.put((i, work((i, n))[1]))

n = int(sys.argv[1])
inherited = ["item%d" % i for i in range(n * 4)]
with multiprocessing.Pool(3) as pool:
    for result in pool.map(work, [(i, n) for i in range(8)]):
        print(result)
queue = multiprocessing.Queue()
children = [multiprocessing.Process(target=put, args=(queue, i, n)) for i in range(3)]
for child in children:
    child.start()
print(sorted(queue.get() for child in children))
for child in children:
    child.join()
    print(child.exitcode)
END
compare_tree python3 "$scratch/pool.py" "$(by_size 60000 600000)"
tap_done
