#!/bin/bash
# SPDX-License-Identifier: MIT
#
# stress/run.sh [--long] [--mb N] [--seconds S] [--seeds N] [--seed N]
# [--policies 'NAME...']: tests/stress/verify under every policy, both ways out
# and 1 to 8 threads, at a quarter of its memory; then as an ordinary user;
# then kill -9 in full traffic. TAP. A few seconds for each combination;
# --long, or EM_TEST_LONG in the environment, takes ten seeds and a minute each.
# --policies takes only these, with 4 threads, and nothing else.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

mb=64
seconds=3
seeds=1
first_seed=1
policies=

long() {
	mb=512
	seconds=60
	seeds=10
}

[ -z "${EM_TEST_LONG:-}" ] || long
while [ $# -gt 0 ]; do
	case $1 in
	--long) long; shift ;;
	--mb) mb=$2; shift 2 ;;
	--seconds) seconds=$2; shift 2 ;;
	--seeds) seeds=$2; shift 2 ;;
	--seed) first_seed=$2; shift 2 ;;
	--policies) policies=$2; shift 2 ;;
	--help) sed -n '4,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) echo "run.sh: unknown option '$1'" >&2; exit 2 ;;
	esac
done

verify=$builddir/tests/stress/verify
kernel=$builddir/tests/stress/kernel
limit=$((mb / 4))M
swap=$scratch/swap
mkdir -m 1777 "$swap"
need_extmem
[ -x "$verify" ] || tap_bail "there is no '$verify': run make check first"

# What a good run must also have shown: that it moved pages, inside its limit.
stats_complaint() {
	local peak max out over

	[ -s "$1" ] || { echo "no statistics"; return; }
	peak=$(json_number peak_resident_bytes <"$1")
	max=$(json_number limit_bytes <"$1")
	out=$(json_number pages_evicted <"$1")
	over=$(json_number over_limit_events <"$1")
	[ "${peak:-1}" -le "${max:-0}" ] || echo "resident reached $peak bytes of $max"
	[ "${out:-0}" -gt 0 ] || echo "nothing was evicted"
	[ "${over:-1}" -eq 0 ] || echo "went past the limit $over times"
}

# stress NAME RUNNER THREADS SEED MODE [RUN-OPTION...]: one line of TAP.
# RUNNER is what runs it all: env, or as_nobody.
stress() {
	local name=$1 runner=$2 threads=$3 seed=$4 mode=$5 status complaint
	local log=$scratch/log stats=$scratch/stats

	shift 5
	rm -f "$stats"
	: >"$stats"
	chmod 666 "$stats"
	"$runner" timeout --foreground --kill-after=5 $((seconds * 5 + 60)) \
		"$extmem" run --limit "$limit" --swap "$swap" --stats "$stats" "$@" -- \
		"$verify" --mb "$mb" --threads "$threads" --seconds "$seconds" \
		--seed "$seed" --mode "$mode" >"$log" 2>&1
	status=$?
	name="$name, $mode, $threads threads, seed $seed"
	complaint=$(stats_complaint "$stats")
	if [ $status -eq 124 ] || [ $status -eq 137 ]; then
		tap_not_ok "$name: hangs" "$log"
	elif [ $status -ne 0 ]; then
		tap_not_ok "$name: status $status" "$log"
	elif [ -n "$complaint" ]; then
		tap_not_ok "$name: $complaint"
	else
		tap_ok "$name"
	fi
}

# The way out must be there on this kernel; says why when not.
way_missing() {
	"$extmem" run --swap "$swap" --set "eviction.way_out=$1" -- true 2>&1 && return 1
	return 0
}

matrix() {
	local policy way threads seed why

	for way in copy move; do
		if why=$(way_missing $way); then
			tap_skip "way out $way" "$why"
			continue
		fi
		for policy in fifo clock lru; do
			for threads in 1 2 4 8; do
				for ((seed = first_seed; seed < first_seed + seeds; seed++)); do
					stress "$policy $way" env $threads "$seed" mixed \
						--policy $policy --set "eviction.way_out=$way"
				done
			done
		done
	done
	some_policies "2q car s3fifo sieve clock2q+ lirs mru random hyperbolic"
}

# Parts of the memory under algorithms and bounds of their own.
regions() {
	local policy=$scratch/regions.yaml

	cat >"$policy" <<-'END'
		regions:
		  - match: {size: "<=4M"}
		    eviction: {algorithm: mru}
		    max: 2M
		  - match: {prot: r}
		    priority: 3
		  - match: {size: ">=8M"}
		    eviction: {algorithm: s3fifo}
		    prefetch: {algorithm: none}
		    min: 20%
	END
	stress "regions" env 4 "$first_seed" mixed --policy "$policy"
}

# What decides differs, what moves pages does not: one combination each.
some_policies() {
	local policy

	for policy in $1; do
		stress "$policy copy" env 4 "$first_seed" mixed --policy "$policy" \
			--set eviction.way_out=copy
	done
}

modes() {
	local mode

	for mode in fill random sequential hotset; do
		stress "default policy" env 2 "$first_seed" $mode
	done
}

# ---- faults delivered to a thread ------------------------------------------

by_thread() {
	local threads why log=$scratch/log

	if ! why=$("$extmem" run --swap "$swap" --set faults.delivery=thread -- true 2>&1); then
		tap_skip "thread delivery" "$why"
		return
	fi
	for threads in 1 4 8; do
		stress "by thread" env $threads "$first_seed" mixed \
			--set faults.delivery=thread
	done
	timeout 300 "$extmem" run --limit 16M --swap "$swap" \
		--set faults.delivery=thread -- "$kernel" "$swap" >"$log" 2>&1
	case $? in
	0) tap_ok "by thread: raw calls, io_uring, asynchronous I/O on evicted buffers" ;;
	77) tap_skip "by thread: io_uring on evicted buffers" "this kernel has none for us" ;;
	*) tap_not_ok "by thread: raw calls, io_uring, asynchronous I/O on evicted buffers" "$log" ;;
	esac
}

# A ring could not reach what is out: there is none, and no byte goes wrong.
by_signal() {
	local log=$scratch/log status

	timeout 300 "$extmem" run --limit 16M --swap "$swap" -- "$kernel" "$swap" >"$log" 2>&1
	status=$?
	if [ $status -eq 77 ]; then
		tap_ok "by signal: raw system calls on evicted buffers, and no ring"
	else
		tap_not_ok "by signal: status $status, wanted no ring" "$log"
	fi
}

# ---- as an ordinary user ---------------------------------------------------

ordinary_user() {
	local sysctl=/proc/sys/vm/unprivileged_userfaultfd

	if [ "$(id -u)" -ne 0 ]; then
		tap_skip "ordinary user" "all of this ran as one: user $(id -un)"
	elif [ -r $sysctl ] && [ "$(cat $sysctl)" -ne 0 ]; then
		tap_skip "ordinary user" "vm.unprivileged_userfaultfd is not 0 here"
	elif ! open_tree || ! verify=$(open_program "$verify"); then
		tap_skip "ordinary user" "the build tree could not be copied for user nobody"
	else
		stress "user nobody" as_nobody 2 "$first_seed" mixed
		stress "user nobody, fifo copy" as_nobody 4 "$first_seed" mixed \
			--policy fifo --set eviction.way_out=copy
	fi
}

# ---- kill -9 ---------------------------------------------------------------


# Waits until the process has written pages out.
wait_for_traffic() {
	local i out

	for ((i = 0; i < 100; i++)); do
		out=$("$extmem" stat --json "$1" 2>/dev/null | json_number pages_out)
		[ "${out:-0}" -lt 1000 ] || return 0
		sleep 0.1
	done
	return 1
}

kill_nine() {
	local pid log=$scratch/kill-log before after

	before=$(ls -A /dev/shm) # what others left is not ours to judge
	"$extmem" run --limit "$limit" --swap "$swap" -- \
		"$verify" --mb "$mb" --threads 4 --seconds 60 --mode random >"$log" 2>&1 &
	pid=$!
	own "$pid"
	if ! wait_for_traffic $pid; then
		tap_not_ok "kill -9: the victim writes pages out" "$log"
		return
	fi
	kill -KILL $pid
	wait $pid 2>/dev/null

	if [ -z "$(ls -A "$swap")" ]; then
		tap_ok "kill -9 leaves no swap file"
	else
		tap_not_ok "kill -9 leaves no swap file" <(ls -lA "$swap")
	fi
	if "$extmem" stat $pid >"$log" 2>&1; then
		tap_not_ok "kill -9: stat of the dead process fails" "$log"
	else
		tap_ok "kill -9: stat of the dead process fails"
	fi
	if "$extmem" stat 2>/dev/null | grep -qw $pid; then
		tap_not_ok "kill -9: the dead process is not listed"
	else
		tap_ok "kill -9: the dead process is not listed"
	fi
	after=$(ls -A /dev/shm)
	comm -13 <(sort <<<"$before") <(sort <<<"$after") | grep extmem >"$log"
	if [ -s "$log" ]; then
		tap_not_ok "kill -9 leaves nothing in /dev/shm" "$log"
	else
		tap_ok "kill -9 leaves nothing in /dev/shm"
	fi
}

if [ -n "$policies" ]; then
	some_policies "$policies"
else
	matrix
	modes
	regions
	by_signal
	by_thread
	kill_nine
	ordinary_user
fi
if [ -z "$(ls -A "$swap")" ]; then
	tap_ok "no run leaves anything in its swap folder"
else
	tap_not_ok "no run leaves anything in its swap folder" <(ls -lA "$swap")
fi
tap_done
