#!/bin/bash
# SPDX-License-Identifier: MIT
# python3 with numpy: large arrays, sorted, multiplied, written to a file and read
# back. Arrays go to the kernel whole, as one buffer.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools /usr/bin/python3
/usr/bin/python3 -c 'import numpy' 2>/dev/null || tap_skip_all "python3 has no numpy"
export OPENBLAS_NUM_THREADS=2
cat >"$scratch/arrays.py" <<'END'
import hashlib
import sys
import numpy

n, file = int(sys.argv[1]), sys.argv[2]
a = numpy.random.default_rng(1).integers(0, 1 << 60, n)
b = numpy.sort(a)
print(a.sum(), b[::n // 10], numpy.all(b[1:] >= b[:-1]))
order = numpy.argsort(a, kind="stable")
print(numpy.array_equal(a[order], b))
b.tofile(file)
c = numpy.fromfile(file, dtype=a.dtype)
print(numpy.array_equal(b, c), hashlib.sha256(c).hexdigest())
side = 300
m = (a[:side * side] % 1000).reshape(side, side)
print((m @ m.T).trace(), numpy.cumsum(c)[-1])
END
compare /usr/bin/python3 "$scratch/arrays.py" "$(by_size 500000 20000000)" "$scratch/array"
tap_done
