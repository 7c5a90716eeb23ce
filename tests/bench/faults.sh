#!/bin/bash
# SPDX-License-Identifier: MIT
#
# bench/faults.sh [--rounds N] [--against BUILD-TREE]
#
# What one fault costs a program that faults all the time, page by page, in
# nanoseconds, signal and eviction included: a first touch within the limit, and
# a soft fault, whose page is still in a standby buffer. Beside it the smallest
# pager there can be (tests/bench/floor.c), and another build tree of extmem, to
# see what a change has cost. All in turn, --rounds times; medians.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

rounds=5
against=''
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=$2; shift 2 ;;
	--against) against=$2; shift 2 ;;
	--help) sed -n '4,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) echo "faults.sh: unknown option '$1'" >&2; exit 2 ;;
	esac
done

touch=$builddir/tests/bench/touch
for program in "$extmem" "$touch" ${against:+"$against/extmem"}; do
	[ -x "$program" ] || { echo "faults.sh: there is no '$program'" >&2; exit 1; }
done

# A third of the limit is buffers, as in the floor. An area of 40 MB, touched
# from end to end over and over, then finds each page in a buffer; one of 28 MB
# fits. Without read-ahead, because runs hide what a fault costs.
limit_mb=48
first=(--mb 28 --pattern fill)
soft=(--mb 40 --pattern seq --seconds 1)

# in_tree EXTMEM TOUCH-ARGUMENTS...
in_tree() {
	local command=$1

	shift
	"$command" run --policy fifo --limit ${limit_mb}M --set eviction.standby=16M \
		--set prefetch.readahead=0 --set eviction.granule=64K --swap /var/tmp -- \
		"$touch" --json "$@"
}

in_floor() {
	"$touch" --json --floor $limit_mb "$@"
}

# Nanoseconds a touch, from the figures of touch.
per_touch() {
	json_number touches_per_second | awk '$1 { printf "%.0f\n", 1e9 / $1 }'
}

measure_all() {
	local kind=$1

	shift
	in_tree "$extmem" "$@" | per_touch >>"$scratch/$kind.ours"
	in_floor "$@" | per_touch >>"$scratch/$kind.floor"
	[ -z "$against" ] || in_tree "$against/extmem" "$@" | per_touch >>"$scratch/$kind.other"
}

for ((i = 0; i < rounds; i++)); do
	measure_all first "${first[@]}"
	measure_all soft "${soft[@]}"
done
echo "nanoseconds a fault, one thread, median of $rounds"
printf '%-6s %8s %8s %6s %8s %6s\n' fault extmem floor x other x
for kind in first soft; do
	ours=$(median "$scratch/$kind.ours")
	floor=$(median "$scratch/$kind.floor")
	other=$(median "$scratch/$kind.other")
	printf '%-6s %8s %8s %6s %8s %6s\n' $kind "$ours" "$floor" "$(ratio "$ours" "$floor")" \
		"$other" "$(ratio "$ours" "$other")"
	[ "$ours" != - ] || exit 1
done
