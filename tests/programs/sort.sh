#!/bin/bash
# SPDX-License-Identifier: MIT
# GNU sort of a file of random lines, all of it in memory.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

# Shorter lines are more of them, and a comparison may be a fault.
if [ "$size" = quick ]; then
	lines=(--mb 48 --long)
else
	lines=(--mb 600)
fi
"$builddir/tests/lib/lines" "${lines[@]}" >"$scratch/lines" ||
	tap_bail "cannot make the input"
command=(sort --parallel=2 -S "90%" -T "$scratch" "$scratch/lines")
export LC_ALL=C
run_alone "$scratch/alone" "${command[@]}"
run_managed "$scratch/managed" "${command[@]}"
same_output "$scratch/alone" "$scratch/managed"
tap_done
