#!/bin/bash
# SPDX-License-Identifier: MIT
# PARI/GP, whose stack is one large mapping that it commits and takes back.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools gp
input=$scratch/script.gp
cat >"$input" <<END
default(parisizemax, "1G");
n = $(by_size 120000 4000000);
v = vector(n, i, (i * 2654435761) % 4294967291);
s = vecsort(v);
print(s[1], " ", s[n], " ", vecsum(v));
print((3^n) % (10^50 + 151));
m = matrix(60, 60, i, j, (i * j * 7919) % 10007);
print(matdet(m), " ", matrank(m));
print(#factorint(2^128 + 1)~);
for (i = 1, n \\ 1000, print(s[1000 * i]));
END
compare gp -q -f
tap_done
