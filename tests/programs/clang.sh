#!/bin/bash
# SPDX-License-Identifier: MIT
# clang compiling a generated C file. Its program text, which is not managed, is
# most of its footprint.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools clang awk
awk -v n="$(by_size 1500 12000)" 'BEGIN {
	for (i = 0; i < n; i++)
		printf "int f%d(int *a, int n) { int s = %d; for (int i = 0; i < n; i++) " \
		       "{ if (a[i] & %d) s += a[i] * %d; else s ^= i << %d; } return s; }\n", \
		       i, i, i + 1, i + 3, i % 13
}' >"$scratch/large.c"
compare clang -O1 -S -o - "$scratch/large.c"
tap_done
