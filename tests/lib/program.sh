# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
#
# program.sh: runs a real program twice, alone and under extmem with a quarter
# of the memory that it took alone, and compares what came out byte for byte.
# While it runs under extmem, it is watched from outside: resident memory as
# `extmem stat` shows it stays within the limit, and the kernel's own count of
# anonymous memory agrees but for what extmem leaves unmanaged.
#
#	. program.sh                 sets $size to quick or full, see program_size
#	input=FILE                   stdin of the program, /dev/null by default
#	run_alone OUT COMMAND...
#	run_managed OUT COMMAND...   after run_alone
#	same_output A B

# shellcheck source=tests/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Program text, stacks, small mappings and the library's own tables.
unmanaged_kib=$((64 * 1024))
limit_min_kib=$((8 * 1024))

input=/dev/null
size=quick
alone_kib=0
limit_kib=0
swap=$scratch/swap
stats=$scratch/stats
watch_pid=''

[ -z "${EM_TEST_LONG:-}" ] || size=full
case ${1:-} in
'') ;;
--quick) size=quick ;;
--full) size=full ;;
*) echo "usage: $0 [--quick | --full]" >&2; exit 2 ;;
esac

mkdir "$swap" || exit 1
need_extmem

# by_size QUICK FULL
by_size() {
	if [ "$size" = quick ]; then echo "$1"; else echo "$2"; fi
}

# set_limit KIB: a quarter of the footprint, in whole pages.
set_limit() {
	alone_kib=$1
	limit_kib=$((alone_kib / 4 & ~3))
	[ "$limit_kib" -ge "$limit_min_kib" ] || limit_kib=$limit_min_kib
	tap_note "alone it takes $((alone_kib / 1024)) MB; its limit is $((limit_kib / 1024)) MB"
}

run_alone() {
	local out=$1 seconds kib

	shift
	if ! "$measure" "$scratch/measured" "$@" <"$input" >"$out" 2>"$scratch/err"; then
		tap_not_ok "runs alone" "$scratch/err"
		tap_done
	fi
	read -r seconds kib <"$scratch/measured"
	set_limit "$kib"
	tap_note "alone: $seconds s"
}

# ---- watching --------------------------------------------------------------

# watch_start PID: samples until the process ends; see watch_verdict.
watch_start() {
	: >"$scratch/watched"
	watch_loop "$1" >"$scratch/watched" 2>/dev/null &
	watch_pid=$!
	children+=("$watch_pid")
}

# One line a sample: resident, limit, anonymous, in KiB.
watch_loop() {
	local json resident max anonymous

	while json=$("$extmem" stat --json "$1") || kill -0 "$1"; do
		resident=$(json_number resident_bytes <<<"$json")
		max=$(json_number limit_bytes <<<"$json")
		anonymous=$(sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status")
		if [ -n "$resident" ] && [ -n "$anonymous" ]; then
			echo "$((resident / 1024)) $((max / 1024)) $anonymous"
		fi
		sleep 0.1
	done
}

# Call it after the process was waited for.
watch_verdict() {
	local samples resident anonymous over

	kill "$watch_pid" 2>/dev/null
	wait "$watch_pid" 2>/dev/null
	read -r samples resident anonymous over < <(awk '
		{
			n++
			if ($1 > resident) resident = $1
			if ($3 > anonymous) anonymous = $3
			if ($1 > $2) over++
		}
		END { print n + 0, resident + 0, anonymous + 0, over + 0 }' "$scratch/watched")
	tap_note "$samples samples: at most $resident KiB resident, $anonymous KiB anonymous"
	if [ "$samples" -eq 0 ]; then
		tap_not_ok "extmem stat saw it"
	elif [ "$over" -gt 0 ]; then
		tap_not_ok "stat: resident went past the limit in $over of $samples samples"
	else
		tap_ok "stat: resident stays within the limit"
	fi
	if [ "$anonymous" -gt $((limit_kib + unmanaged_kib)) ]; then
		tap_not_ok "kernel: $anonymous KiB anonymous for a limit of $limit_kib"
	elif [ "$samples" -gt 0 ]; then
		tap_ok "kernel: anonymous memory agrees with the limit"
	fi
}

# The figures of a run that has ended.
stats_verdict() {
	local peak max evicted over

	if ! [ -s "$stats" ]; then
		tap_not_ok "leaves its statistics"
		return
	fi
	peak=$(json_number peak_resident_bytes <"$stats")
	max=$(json_number limit_bytes <"$stats")
	evicted=$(json_number pages_evicted <"$stats")
	over=$(json_number over_limit_events <"$stats")
	if [ "${peak:-1}" -gt "${max:-0}" ] || [ "${over:-1}" -ne 0 ]; then
		tap_not_ok "peak ${peak:-?} bytes of ${max:-?}, $over over-limit events"
	elif [ "${evicted:-0}" -eq 0 ] && [ $((limit_kib * 2)) -lt "$alone_kib" ]; then
		tap_not_ok "was paged at all: nothing was evicted"
	else
		tap_ok "peak within the limit, $evicted pages evicted"
	fi
}

run_managed() {
	local out=$1 pid status before

	shift
	rm -f "$stats"
	before=$EPOCHREALTIME
	"$extmem" run --limit "${limit_kib}K" --swap "$swap" --stats "$stats" -- \
		"$@" <"$input" >"$out" 2>"$scratch/err" &
	pid=$!
	children+=("$pid")
	watch_start "$pid"
	wait "$pid"
	status=$?
	tap_note "under extmem: $(awk "BEGIN { print $EPOCHREALTIME - $before }") s"
	if [ $status -eq 0 ]; then
		tap_ok "ends with status 0"
	else
		tap_not_ok "ends with status $status" "$scratch/err"
	fi
	watch_verdict
	stats_verdict
}

# ---- comparing -------------------------------------------------------------

same_output() {
	if [ -s "$1" ] && cmp "$1" "$2" >"$scratch/cmp" 2>&1; then
		tap_ok "${3:-the output} is the same, byte for byte"
	else
		tap_not_ok "${3:-the output} is the same, byte for byte" "$scratch/cmp"
	fi
}
