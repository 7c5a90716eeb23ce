#!/bin/bash
# SPDX-License-Identifier: MIT
# gawk: counts words, sorts them with its own sort, and keeps all lines.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools gawk
export LC_ALL=C
"$builddir/tests/lib/lines" --words --mb "$(by_size 16 300)" >"$scratch/text"
# awk expands these.
# shellcheck disable=SC2016
compare gawk '{ for (i = 1; i <= NF; i++) n[$i]++; line[NR] = $0 }
	END { k = asorti(n, s); for (i = 1; i <= k; i++) print s[i], n[s[i]]
	      for (i = NR; i > 0; i--) print line[i] }' "$scratch/text"
tap_done
