# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
#
# program.sh: runs a real program twice, alone and under extmem with a quarter
# of the memory that it took alone, and compares what came out byte for byte.
# EM_PROGRAM_SHARE is another divisor than 4, EM_PROGRAM_SETS holds options for
# `extmem run`, as "--set faults.delivery=thread".
# While it runs under extmem, it is watched from outside: resident memory as
# `extmem stat` shows it stays within the limit, and the kernel's own count of
# anonymous memory agrees but for what extmem leaves unmanaged.
#
#	. program.sh                 sets $size to quick or full, see by_size
#	input=FILE                   stdin of the program, /dev/null by default
#	compare COMMAND...           all that one program needs, but for tap_done
#	compare_tree COMMAND...      the same of a program with child processes
#	run_alone OUT COMMAND...
#	run_managed OUT COMMAND...   after run_alone
#	same_output A B [WHAT]
#	server_start COMMAND...      servers: under extmem after set_limit
#	server_stop COMMAND...       server_tree=yes: its children count as well
#
# A tree of processes has the limit for each of them, a quarter of what the
# largest one took alone. They end too soon to be watched: all leave their own
# statistics, which must show that the limit was kept and that pages left.

# shellcheck source=tests/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Program text, stacks, small mappings and the library's own tables.
unmanaged_kib=$((64 * 1024))
share=${EM_PROGRAM_SHARE:-4}
limit_min_kib=$((8 * 1024))
read -r -a options <<<"${EM_PROGRAM_SETS:-}"

input=/dev/null
size=quick
alone_kib=0
limit_kib=0
swap=$scratch/swap
stats=$scratch/stats
watch_child=''
watch_began=0

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

# set_limit KIB: a quarter of the footprint, in whole pages. A limit that is more
# than a third of it would show little.
set_limit() {
	alone_kib=$1
	limit_kib=$((alone_kib / share & ~3))
	[ "$limit_kib" -ge "$limit_min_kib" ] || limit_kib=$limit_min_kib
	tap_note "alone it takes $((alone_kib / 1024)) MB; its limit is $((limit_kib / 1024)) MB"
	[ "$share" -lt 3 ] || [ $((limit_kib * 3)) -le "$alone_kib" ] ||
		tap_not_ok "the limit is a third of what it takes, or less"
}

run_alone() {
	local out=$1 seconds kib

	shift
	if ! "$measure" "$scratch/measured" "$@" <"$input" >"$out" 2>"$scratch/err"; then
		tap_not_ok "runs alone" "$scratch/err"
		tap_done
	fi
	read -r seconds kib _ <"$scratch/measured"
	set_limit "$kib"
	tap_note "alone: $seconds s"
}

# ---- watching --------------------------------------------------------------

# watch_start PID: samples until the process ends; see watch_verdict.
watch_start() {
	watch_began=$SECONDS
	: >"$scratch/watched"
	watch_loop "$1" >"$scratch/watched" 2>/dev/null &
	own "$!"
	watch_child=${children[-1]}
}

# One line a sample: resident, limit, anonymous, in KiB. In haste for the first.
watch_loop() {
	local json resident max anonymous pause=0.01

	while json=$("$extmem" stat --json "$1") || kill -0 "$1"; do
		resident=$(json_number resident_bytes <<<"$json")
		max=$(json_number limit_bytes <<<"$json")
		anonymous=$(sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status")
		if [ -n "$resident" ] && [ -n "$anonymous" ]; then
			echo "$((resident / 1024)) $((max / 1024)) $anonymous"
			pause=0.1
		fi
		sleep $pause
	done
}

# Call it after the process was waited for. One that ended within seconds may
# never have been seen; the statistics that it left tell of the limit as well.
watch_verdict() {
	local samples resident anonymous over seconds=$((SECONDS - watch_began))

	end_child "$watch_child"
	read -r samples resident anonymous over < <(awk '
		{
			n++
			if ($1 > resident) resident = $1
			if ($3 > anonymous) anonymous = $3
			if ($1 > $2) over++
		}
		END { print n + 0, resident + 0, anonymous + 0, over + 0 }' "$scratch/watched")
	tap_note "$samples samples: at most $resident KiB resident, $anonymous KiB anonymous"
	if [ "$samples" -eq 0 ] && [ "$seconds" -lt 5 ]; then
		tap_skip "stat: resident stays within the limit" "it ended too soon to be seen"
	elif [ "$samples" -eq 0 ]; then
		tap_not_ok "extmem stat saw it in $seconds s"
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
	local peak max evicted back over

	if ! [ -s "$stats" ]; then
		tap_not_ok "leaves its statistics"
		return
	fi
	peak=$(json_number peak_resident_bytes <"$stats")
	max=$(json_number limit_bytes <"$stats")
	evicted=$(json_number pages_evicted <"$stats")
	back=$(json_number pages_in <"$stats")
	over=$(json_number over_limit_events <"$stats")
	if [ "${peak:-1}" -gt "${max:-0}" ] || [ "${over:-1}" -ne 0 ]; then
		tap_not_ok "peak ${peak:-?} bytes of ${max:-?}, $over over-limit events"
	elif [ "${evicted:-0}" -eq 0 ] || [ "${back:-0}" -eq 0 ]; then
		tap_not_ok "was paged: ${evicted:-0} pages evicted, ${back:-0} read back"
	else
		tap_ok "peak within the limit, $evicted pages evicted, $back read back"
	fi
}

# tree_verdict: of all processes that left statistics in $stats.PID.
tree_verdict() {
	local processes paged evicted back wrong

	read -r processes paged evicted back wrong < <(cat "$stats".* 2>/dev/null | awk '
		function value(key,  at) {
			at = index($0, "\"" key "\": ")
			return at ? substr($0, at + length(key) + 4) + 0 : -1
		}
		{
			n++
			paged += value("pages_evicted") > 0
			evicted += value("pages_evicted")
			back += value("pages_in")
			if (value("peak_resident_bytes") > value("limit_bytes") ||
			    value("over_limit_events") != 0)
				wrong++
		}
		END { print n + 0, paged + 0, evicted + 0, back + 0, wrong + 0 }')
	if [ "$processes" -lt 2 ]; then
		tap_not_ok "$processes processes leave their statistics"
	elif [ "$wrong" -gt 0 ]; then
		tap_not_ok "$wrong of $processes processes went past the limit"
	elif [ "$evicted" -eq 0 ] || [ "$back" -eq 0 ]; then
		tap_not_ok "were paged: $processes processes, $evicted pages evicted, $back read back"
	else
		tap_ok "$processes processes within the limit, $paged paged: $evicted out, $back back"
	fi
}

status_verdict() {
	if [ "$1" -eq 0 ]; then
		tap_ok "ends with status 0"
	else
		tap_not_ok "ends with status $1" "$2"
	fi
}

run_managed() {
	local out=$1 pid status before

	shift
	rm -f "$stats"
	before=$EPOCHREALTIME
	"$extmem" run --limit "${limit_kib}K" --swap "$swap" --stats "$stats" "${options[@]}" -- \
		"$@" <"$input" >"$out" 2>"$scratch/err" &
	pid=$!
	own "$pid"
	watch_start "$pid"
	wait "$pid"
	status=$?
	tap_note "under extmem: $(awk "BEGIN { print $EPOCHREALTIME - $before }") s"
	status_verdict $status "$scratch/err"
	watch_verdict
	stats_verdict
}

run_tree() {
	local out=$1 status before

	shift
	rm -f "$stats".*
	before=$EPOCHREALTIME
	"$extmem" run --limit "${limit_kib}K" --swap "$swap" --stats "$stats.%p" "${options[@]}" -- \
		"$@" <"$input" >"$out" 2>"$scratch/err"
	status=$?
	tap_note "under extmem: $(awk "BEGIN { print $EPOCHREALTIME - $before }") s"
	status_verdict $status "$scratch/err"
	tree_verdict
}

# ---- servers ---------------------------------------------------------------

server_tree=no
server_pid=''
server_status=''
managed=()

# Starts it in the background: alone until set_limit has been called, then
# under extmem, and watched. Its output goes to $scratch/server.log.
server_start() {
	local suffix=''

	[ $server_tree = no ] || suffix=.%p
	if [ "$limit_kib" -gt 0 ]; then
		managed=("$extmem" run --limit "${limit_kib}K" --swap "$swap"
			--stats "$stats$suffix" "${options[@]}" --)
	fi
	"${managed[@]}" "$@" <"$input" >"$scratch/server.log" 2>&1 &
	server_pid=$!
	own "$server_pid"
	[ ${#managed[@]} -eq 0 ] || watch_start "$server_pid"
}

# server_wait COMMAND...: until it succeeds, which means that the server answers.
server_wait() {
	local i

	for ((i = 0; i < 200; i++)); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	tap_not_ok "the server answers" "$scratch/server.log"
	tap_done
}

# The most memory that it took so far, in KiB.
server_kib() {
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$server_pid/status"
}

# server_stop COMMAND...: makes it end; what it was like, when it was managed.
server_stop() {
	"$@" >/dev/null 2>&1
	wait "$server_pid"
	server_status=$?
	[ ${#managed[@]} -gt 0 ] || return 0
	status_verdict $server_status "$scratch/server.log"
	watch_verdict
	if [ $server_tree = no ]; then stats_verdict; else tree_verdict; fi
}

# ---- comparing -------------------------------------------------------------

same_output() {
	if [ -s "$1" ] && cmp "$1" "$2" >"$scratch/cmp" 2>&1; then
		tap_ok "${3:-the output} is the same, byte for byte"
		return
	fi
	diff -a "$1" "$2" 2>&1 | head -n 8 | cut -c 1-200 >>"$scratch/cmp"
	[ ! -s "$scratch/err" ] || tail -n 8 "$scratch/err" >>"$scratch/cmp"
	tap_not_ok "${3:-the output} is the same, byte for byte" "$scratch/cmp"
}

# compare COMMAND...: alone, then managed, then what came out.
compare() {
	run_alone "$scratch/alone" "$@"
	run_managed "$scratch/managed" "$@"
	same_output "$scratch/alone" "$scratch/managed"
}

compare_tree() {
	run_alone "$scratch/alone" "$@"
	run_tree "$scratch/managed" "$@"
	same_output "$scratch/alone" "$scratch/managed"
}

# c_functions N: a source file in C of so many different ones, f0 and on.
c_functions() {
	awk -v n="$1" 'BEGIN {
		for (i = 0; i < n; i++)
			printf "int f%d(int *a, int n) { int s = %d; for (int i = 0; i < n; i++) " \
			       "{ if (a[i] & %d) s += a[i] * %d; else s ^= i << %d; } return s; }\n", \
			       i, i, i + 1, i + 3, i % 13
	}'
}
