#!/bin/bash
# SPDX-License-Identifier: MIT
# gcc compiling a large generated C file: the object files are the same.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools gcc awk
functions=$(by_size 1200 12000)
c_functions "$functions" >"$scratch/large.c"
awk -v n="$functions" 'BEGIN {
	print "int all(int *a, int n) { int s = 0;"
	for (i = 0; i < n; i++)
		printf "s += f%d(a, n);\n", i
	print "return s; }"
}' >>"$scratch/large.c"
compare_tree gcc -O1 -pipe -c -o - -S "$scratch/large.c"
tap_done
