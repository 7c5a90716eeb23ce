#!/bin/bash
# SPDX-License-Identifier: MIT
#
# rows/run.sh [--set KEY=VALUE]... [PROGRAM...]: each case of tests/rows, which
# is one thing that an unmodified program does to a pager: alone, under extmem
# by each way out, and under extmem with the protection that it needs switched
# off, where it must fail. TAP. PROGRAM is calls, signals ...; all by default.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

seconds=60
limit=16M
sets=()
programs=()
all=yes

while [ $# -gt 0 ]; do
	case $1 in
	--set) sets+=(--set "$2"); shift 2 ;;
	--help) sed -n '4,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
	-*) echo "run.sh: unknown option '$1'" >&2; exit 2 ;;
	*) programs+=("$builddir/tests/rows/rows-$1"); all=no; shift ;;
	esac
done
builddir=$(cd "$builddir" && pwd)
[ ${#programs[@]} -gt 0 ] || programs=("$builddir"/tests/rows/rows-*)

# Thread delivery refuses to copy, and needs fewer protections.
ways=(copy move)
by_thread=no
case " ${sets[*]-} " in *" faults.delivery=thread "*) ways=(move) by_thread=yes ;; esac

# Cases that pass with every protection off: why they have none to show.
declare -A plain=(
	["memory edge"]="around the window there is nothing, and whoever judges such a range says so"
	["memory many"]="six thousand regions are to the library what six are"
	["memory too-many"]="a kernel that joins mappings as it changes them breaks off before the first"
	["processes exec-static"]="the filter looks for addresses that only a program with a window has"
	["threads robust-shared-mutex"]="shared memory and what libc knows of a thread are the kernel's"
	["waits cancelled-inside-libc"]="in C, libc cancels a call inside itself without a look at who made it"
	["waits interrupted"]="the kernel ends the call, and nobody begins it again"
)

swap=$scratch/swap
mkdir -m 1777 "$swap"
export TMPDIR=$swap # what a case that is killed leaves there goes, too
need_extmem

# What cases push out must leave: fifo does not mind how often it was touched.
# managed COMMAND...: with the knobs of the test library all on, unless
# EXTMEM_TEST_OFF says otherwise.
managed() {
	EXTMEM_LIBRARY=$builddir/tests/rows/.libs/libextmem-knobs.so ROW_MANAGED=1 \
		timeout --kill-after=5 $seconds "$extmem" run --limit $limit \
		--swap "$swap" --set eviction.algorithm=fifo ${sets[@]+"${sets[@]}"} "$@" >"$scratch/out" 2>&1 </dev/null
}

# succeeds NAME COMMAND...: one line of TAP; false when it did not run well.
succeeds() {
	local name=$1 status

	shift
	"$@"
	status=$?
	case $status in
	0) tap_ok "$name" ;;
	77) tap_skip "$name" "$(tail -n 1 "$scratch/out")" ;;
	124) tap_not_ok "$name: hangs" "$scratch/out" ;;
	*) tap_not_ok "$name: status $status" "$scratch/out" ;;
	esac
	return $status
}

alone() {
	timeout --kill-after=5 $seconds "$@" >"$scratch/out" 2>&1 </dev/null
}

# It fails when the program finds something wrong (1), hangs (124) or dies of a
# signal; any other status is a failure to run it. Some protections stand against
# races, which do not come at every try.
fails_without() {
	local name=$1 knob=$2 was=$seconds status try

	shift 2
	seconds=10
	for try in 1 2 3 4 5 6 7 8; do
		EXTMEM_TEST_OFF=$knob managed -- "$@"
		status=$?
		[ $status -eq 0 ] || break
	done
	seconds=$was
	if [ $status -eq 77 ]; then
		tap_skip "$name: without '$knob'" "$(tail -n 1 "$scratch/out")"
	elif [ $status -eq 1 ] || [ $status -eq 124 ] || [ $status -ge 128 ]; then
		tap_ok "$name: fails without '$knob', try $try"
	else
		tap_not_ok "$name: must fail without '$knob', status $status" "$scratch/out"
	fi
}

# What has no knob has its reason above.
is_plain() {
	local name=$1 key=${2#rows-}
	local reason=${plain[$key]:-}

	unset "plain[$key]"
	if [ "$reason" ]; then
		tap_ok "$name: needs no protection: $reason"
	else
		tap_not_ok "$name: names no protection that it fails without, nor a reason"
	fi
}

for program in "${programs[@]}"; do
	while read -r case knob; do
		name="$(basename "$program") $case"
		succeeds "$name, alone" alone "$program" "$case" || continue
		for way in "${ways[@]}"; do
			succeeds "$name, $way" managed --set "eviction.way_out=$way" -- \
				"$program" "$case"
		done
		if [ "$knob" = - ]; then
			is_plain "$name" "$(basename "$program") $case"
		elif [ $by_thread = no ]; then
			fails_without "$name" "$knob" "$program" "$case"
		fi
	done < <("$program" --list)
done
if [ $all = yes ]; then
	for key in "${!plain[@]}"; do
		tap_not_ok "a reason for '$key', which is no case without a knob"
	done
fi
tap_done
