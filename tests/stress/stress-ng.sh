#!/bin/bash
# SPDX-License-Identifier: MIT
#
# stress/stress-ng.sh [--long] [--seconds S] [--workers N] [STRESSOR...]: the
# stressors of stress-ng that work on memory, processes, signals and calls,
# with --verify: alone, and under extmem in each way that pages can leave and
# faults be delivered, at a limit well below what they use. What fails alone is
# skipped. TAP. A second each; --long, or EM_TEST_LONG in the environment,
# takes ten, four workers at once, and each method of vm by itself.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

seconds=1
workers=1
limit=8M
stressors=()

long() {
	seconds=10
	workers=4
	EM_TEST_LONG=1
}

[ -z "${EM_TEST_LONG:-}" ] || long
while [ $# -gt 0 ]; do
	case $1 in
	--long) long; shift ;;
	--seconds) seconds=$2; shift 2 ;;
	--workers) workers=$2; shift 2 ;;
	--help) sed -n '4,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
	-*) echo "stress-ng.sh: unknown option '$1'" >&2; exit 2 ;;
	*) stressors+=("$1"); shift ;;
	esac
done

# Whether the memory of a stressor is managed and larger than the limit, so that
# its children must have evicted something.
declare -A large=(
	[vm]=yes [mmap]=yes [mremap]=yes [madvise]=no [malloc]=yes [brk]=no
	[fork]=no [vfork]=no [bigheap]=yes [sigsegv]=no [context]=no [futex]=no
	[pipe]=no [eventfd]=no [poll]=no [readahead]=no [memcpy]=no [shm]=no
	[stack]=no [switch]=no
)
order=(vm mmap mremap madvise malloc brk fork vfork bigheap sigsegv context futex
	pipe eventfd poll readahead memcpy shm stack switch)

swap=$scratch/swap
mkdir -m 1777 "$swap"
need_extmem
need_tools stress-ng
[ ${#stressors[@]} -gt 0 ] || stressors=("${order[@]}")

# The kinds of run that this machine can do: a name, and options for extmem.
declare -A kinds=(
	[copy]='--set eviction.way_out=copy'
	[move]='--set eviction.way_out=move'
	[thread]='--set faults.delivery=thread'
)

find_kinds() {
	local kind why

	for kind in copy move thread; do
		# shellcheck disable=SC2086
		if why=$("$extmem" run --swap "$swap" ${kinds[$kind]} -- true 2>&1) &&
			[ -z "$why" ]; then
			usable+=("$kind")
		else
			tap_skip "$kind" "$why"
		fi
	done
}

# arguments NAME: what stress-ng is told for it. vm/METHOD is one method of vm.
arguments() {
	local stressor=${1%%/*} method=${1#*/}

	args=("--$stressor" "$workers" --timeout "$seconds")
	case $stressor in
	vm)
		[ "$method" != vm ] || method=all
		args+=(--vm-method "$method" --vm-bytes $((workers * 32))M)
		;;
	mmap) args+=(--mmap-bytes $((workers * 32))M) ;;
	mremap) args+=(--mremap-bytes $((workers * 32))M) ;;
	malloc) args+=(--malloc-bytes $((workers * 64))M) ;;
	# It grows for as long as it runs: not for ten seconds, nor by four.
	bigheap) args=(--bigheap 1 --timeout 1) ;;
	esac
}

# Becomes stress-ng, run by COMMAND, in a folder of its own, because it makes
# files where it stands; its process id goes to a file.
stress() {
	cd "$scratch" || exit 1
	# shellcheck disable=SC2016
	exec timeout --kill-after=5 $((seconds * 10 + 60)) "$@" sh -c \
		'echo $$ >pid; exec "$@"' sh stress-ng --verify "${args[@]}" \
		>"$scratch/log" 2>&1 </dev/null
}

# Pages that left the processes below $1, as the ones now alive tell, and how
# many they are.
descendants() {
	"$extmem" stat --json 2>/dev/null | awk -v root="$1" '
	function value(key,  text) {
		if (!match($0, "\"" key "\": [0-9]+"))
			return 0
		text = substr($0, RSTART, RLENGTH)
		sub(/.*: /, "", text)
		return text + 0
	}
	{ parent[value("pid")] = value("parent_pid"); evicted[value("pid")] = value("pages_evicted") }
	END {
		for (pid in parent) {
			for (up = pid; up in parent && up != root; )
				up = parent[up]
			if (up == root && pid != root) {
				n++
				sum += evicted[pid]
			}
		}
		print n + 0, sum + 0
	}'
}

# Looks at the children of what timeout runs for as long as it does; keeps the
# largest figures seen.
watch_children() {
	local n out pid='' most=0 evicted=0

	while kill -0 "$1" 2>/dev/null; do
		if [ -z "$pid" ] && pid=$(cat "$scratch/pid" 2>/dev/null); then
			own "$pid" # its children end with it
		fi
		read -r n out < <(descendants "$pid")
		[ "$n" -le "$most" ] || most=$n
		[ "$out" -le "$evicted" ] || evicted=$out
		sleep 0.1
	done
	echo "$most $evicted" >"$scratch/children"
}

# Processes and pages evicted, as those tell that ended by themselves. On a busy
# machine they may never have been seen alive.
left_behind() {
	cat "$scratch"/stats.* 2>/dev/null | awk '
		match($0, /"pages_evicted": [0-9]+/) {
			n++
			sum += substr($0, RSTART + 17, RLENGTH - 17)
		}
		END { print n + 0, sum + 0 }'
}

# Sets status, most and evicted.
run_kind() {
	local kind=$1 pid n out

	rm -f "$scratch/pid" "$scratch"/stats.*
	# shellcheck disable=SC2086
	stress "$extmem" run --limit $limit --swap "$swap" --stats "$scratch/stats.%p" \
		${kinds[$kind]} -- &
	pid=$!
	own "$pid"
	watch_children $pid
	wait $pid
	status=$?
	read -r most evicted <"$scratch/children"
	read -r n out < <(left_behind)
	[ "$n" -le $((most + 1)) ] || most=$((n - 1)) # but for the one at the top
	[ "$out" -le "$evicted" ] || evicted=$out
}

# managed NAME KIND: one line of TAP.
managed() {
	local name=$1 kind=$2 status most evicted

	run_kind "$kind"
	# Some work on memory that is shared as well, by turns: where processors are
	# scarce, a few seconds may have been the turn of that.
	if [ "$status" -eq 0 ] && [ "$evicted" -eq 0 ] && [ "${large[${name%%/*}]}" = yes ]; then
		local seconds=$((seconds * 10)) args
		arguments "$name"
		run_kind "$kind"
	fi
	if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
		tap_not_ok "$name, $kind: hangs" "$scratch/log"
	elif [ "$status" -ne 0 ]; then
		tap_not_ok "$name, $kind: status $status" "$scratch/log"
	elif [ "$most" -lt 1 ]; then
		tap_not_ok "$name, $kind: no child of it was managed" "$scratch/log"
	elif [ "${large[${name%%/*}]}" = yes ] && [ "$evicted" -eq 0 ]; then
		tap_not_ok "$name, $kind: nothing was evicted" "$scratch/log"
	else
		tap_ok "$name, $kind"
		tap_note "$most children seen, $evicted pages evicted"
	fi
}

both() {
	local name=$1 kind args

	arguments "$name"
	if ! (stress env); then
		tap_skip "$name" "fails alone: $(tail -n 1 "$scratch/log")"
		return
	fi
	for kind in "${usable[@]}"; do
		managed "$name" "$kind"
	done
}

usable=()
find_kinds
for stressor in "${stressors[@]}"; do
	if [ "$stressor" = vm ] && [ -n "${EM_TEST_LONG:-}" ]; then
		for method in $(stress-ng --vm-method help 2>&1 | sed 's/.*: //'); do
			both "vm/$method"
		done
	else
		both "$stressor"
	fi
done
tap_done
