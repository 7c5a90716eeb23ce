#!/bin/bash
# SPDX-License-Identifier: MIT
#
# stress/torture.sh [--long] [--seconds S] [--seeds N] [--seed N] [--pairs]:
# tests/stress/torture alone, and under extmem in each way that pages can leave
# and faults be delivered, and with regions that may have only so much, at a third of
# its memory. TAP. One seed and some
# seconds; --long, or EM_TEST_LONG in the environment, takes ten seeds and two
# minutes each. --pairs runs two processes at a time.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

seconds=6
seeds=1
first_seed=1
pairs=no
limit=16M

long() {
	seconds=120
	seeds=10
}

[ -z "${EM_TEST_LONG:-}" ] || long
while [ $# -gt 0 ]; do
	case $1 in
	--long) long; shift ;;
	--seconds) seconds=$2; shift 2 ;;
	--seeds) seeds=$2; shift 2 ;;
	--seed) first_seed=$2; shift 2 ;;
	--pairs) pairs=yes; shift ;;
	--help) sed -n '4,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) echo "torture.sh: unknown option '$1'" >&2; exit 2 ;;
	esac
done

torture=$builddir/tests/stress/torture
swap=$scratch/swap
mkdir -m 1777 "$swap"
need_extmem
[ -x "$torture" ] || tap_bail "there is no '$torture': run make check first"

declare -A kinds=(
	[copy]='--set eviction.way_out=copy'
	[move]='--set eviction.way_out=move'
	[thread]='--set faults.delivery=thread'
	[max]='--set regions[0].match.source=mmap --set regions[0].max=25%'
)

# What each thread of a process that hangs is doing.
show_threads() {
	command -v gdb >/dev/null || return
	timeout 60 gdb -q -batch -p "$1" -ex 'thread apply all bt 16' 2>&1 |
		grep '^#\|^Thread'
}

# await PID LOG: its status; 124 when it had to be ended.
await() {
	local left=$(((seconds * 4 + 60) * 10))

	while kill -0 "$1" 2>/dev/null; do
		if [ $((left--)) -eq 0 ]; then
			show_threads "$1" >>"$2"
			kill -KILL "$1"
			wait "$1" 2>/dev/null
			return 124
		fi
		sleep 0.1
	done
	wait "$1"
}

# verdict NAME PID LOG [STATS]
verdict() {
	local status evicted

	await "$2" "$3"
	status=$?
	if [ $status -eq 124 ]; then
		tap_not_ok "$1: hangs" "$3"
	elif [ $status -ne 0 ]; then
		tap_not_ok "$1: status $status" "$3"
	elif [ -n "${4:-}" ] && evicted=$(json_number pages_evicted <"$4") &&
		[ "${evicted:-0}" -lt 1000 ]; then
		tap_not_ok "$1: $evicted pages were evicted" "$3"
	else
		tap_ok "$1"
	fi
}

# managed KIND SEED N: starts it.
managed() {
	# shellcheck disable=SC2086
	"$extmem" run --limit $limit --swap "$swap" --stats "$scratch/stats$3" \
		${kinds[$1]} -- "$torture" --seconds "$seconds" --seed "$2" \
		>"$scratch/log$3" 2>&1 </dev/null &
	pid=$!
	own "$pid"
}

both_of() {
	local first

	managed "$1" "$2" 1
	first=$pid
	[ $pairs = no ] || managed "$1" $(($2 + 1000)) 2
	verdict "seed $2, $1" "$first" "$scratch/log1" "$scratch/stats1"
	[ $pairs = no ] ||
		verdict "seed $(($2 + 1000)), $1, beside it" "$pid" "$scratch/log2" "$scratch/stats2"
}

alone() {
	"$torture" --seconds "$seconds" --seed "$first_seed" >"$scratch/log" 2>&1 </dev/null &
	own $!
	verdict "seed $first_seed, alone" $! "$scratch/log"
}

alone
for kind in copy move thread max; do
	# shellcheck disable=SC2086
	if ! why=$("$extmem" run --swap "$swap" ${kinds[$kind]} -- true 2>&1) ||
		[ -n "$why" ]; then
		tap_skip "$kind" "$why"
		continue
	fi
	for ((seed = first_seed; seed < first_seed + seeds; seed++)); do
		both_of $kind $seed
	done
done
tap_done
