#!/bin/bash
# SPDX-License-Identifier: MIT
# GNU sort of numbers in parallel, with less memory than the input takes, so that
# it writes temporary files and merges them.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

export LC_ALL=C
awk -v n="$(by_size 400000 20000000)" 'BEGIN { srand(1)
	for (i = 0; i < n; i++) printf "%d %d\n", rand() * 1e9, i }' >"$scratch/numbers"
compare sort --parallel=2 -S "$(by_size 32M 512M)" -k1,1n -k2,2n -T "$scratch" "$scratch/numbers"
tap_done
