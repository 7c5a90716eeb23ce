#!/bin/bash
# SPDX-License-Identifier: MIT
#
# stress/drift.sh [--minutes N] [--mb N] [--threads N] [--samples N]:
# one process under mixed, verified load at a quarter of its memory for N minutes
# (30), watched from outside. Neither the memory beside the limit nor the swap
# file may grow once they have settled: their largest in the last third against
# their largest in the middle one. Throughput is shown for the reader to judge.
# TAP.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

minutes=30
mb=512
threads=8
samples=180

while [ $# -gt 0 ]; do
	case $1 in
	--minutes) minutes=$2; shift 2 ;;
	--mb) mb=$2; shift 2 ;;
	--threads) threads=$2; shift 2 ;;
	--samples) samples=$2; shift 2 ;;
	--help) sed -n '4,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) echo "drift.sh: unknown option '$1'" >&2; exit 2 ;;
	esac
done

verify=$builddir/tests/stress/verify
need_extmem
[ -x "$verify" ] || tap_bail "there is no '$verify': run make check first"
swap=$scratch/swap
mkdir "$swap"
seed=$RANDOM

# sample PID: seconds, faults, resident set beside managed pages and buffers,
# and swap file in KiB, descriptors. The process is held still, since what is
# resident changes faster than it can be read; and VmRSS is an estimate.
sample() {
	kill -STOP "$1" && figures "$1"
	kill -CONT "$1"
}

figures() {
	local json rss

	json=$("$extmem" stat --json "$1") || return
	rss=$(sed -n 's/^Rss:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/smaps_rollup")
	[ -n "$rss" ] || return
	echo "$(cut -d ' ' -f 1 /proc/uptime)" \
		"$(grep -o '"[a-z]*": {"count": [0-9]*' <<<"$json" | awk '{ n += $3 } END { print n }')" \
		"$((rss - $(json_number resident_bytes <<<"$json") / 1024))" \
		"$(($(json_number store_bytes <<<"$json") / 1024))" \
		"$(find "/proc/$1/fd" -maxdepth 1 | wc -l)"
}

tap_note "seed $seed, $mb MB, $threads threads, $minutes minutes"
"$extmem" run --limit $((mb / 4))M --swap "$swap" -- "$verify" --mb "$mb" --threads "$threads" \
	--seconds $((minutes * 60)) --seed "$seed" --mode mixed >"$scratch/log" 2>&1 &
pid=$!
own "$pid"
pause=$(awk "BEGIN { print $minutes * 60 / $samples }")
while kill -0 "$pid" 2>/dev/null; do
	sample "$pid" >>"$scratch/samples" 2>/dev/null
	sleep "$pause"
done
wait "$pid"
status=$?

# thirds COLUMN: the largest in each third; of faults, the rate.
thirds() {
	awk -v column="$1" '
		{ at[NR] = $1; value[NR] = $column }
		END {
			for (third = 0; third < 3; third++) {
				from = int(NR * third / 3) + 1
				to = int(NR * (third + 1) / 3)
				most = 0
				for (i = from; i <= to; i++)
					if (value[i] > most)
						most = value[i]
				if (column == 2 && at[to] > at[from])
					most = (value[to] - value[from]) / (at[to] - at[from])
				printf "%d%s", most, third < 2 ? " " : "\n"
			}
		}' "$scratch/samples"
}

# steady NAME UNIT COLUMN SLACK: grows by no more than SLACK after the second third.
steady() {
	local first second third

	read -r first second third < <(thirds "$3")
	tap_note "$1, $2: $first, $second, $third"
	if [ "$third" -le $((second + second / 20 + $4)) ]; then
		tap_ok "$1 does not grow"
	else
		tap_not_ok "$1 grows: $first, $second, $third $2"
	fi
}

if [ $status -eq 0 ]; then
	tap_ok "every byte is right"
else
	tap_not_ok "status $status" "$scratch/log"
fi
if [ "$(wc -l <"$scratch/samples")" -lt 9 ]; then
	tap_not_ok "it was seen at least 9 times"
	tap_done
fi
steady "memory beside the managed pages" KiB 3 2048
steady "the swap file" KiB 4 65536
steady "the number of open files" files 5 2
tap_note "faults a second: $(thirds 2)"
tap_done
