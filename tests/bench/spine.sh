#!/bin/bash
# SPDX-License-Identifier: MIT
#
# bench/spine.sh [--seconds S] [--mb N] [--limit-mb N] [--policy NAME]
#                [--rounds N] [--pairs N] [--swap DIR] [--only extmem|kernel|fit] [--quick]
#
# Page touches a second of tests/bench/touch in a quarter of its memory, with
# extmem, with the smallest pager there can be (tests/bench/floor.c) and, where
# root may, with the kernel's own swap at the same limit (a memory cgroup and a
# swap file, both gone afterwards; the better of page-cluster 0 and 3). In turn,
# --rounds times; medians. Then programs that fit their limit, alone and under
# extmem in turn: the median of the ratios of whole run times.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

seconds=10
mb=2048
limit_mb=''
policy=fifo
rounds=3
pairs=9
swap=/var/tmp
only=''
quick=no

die() {
	echo "spine.sh: $1" >&2
	exit 1
}

while [ $# -gt 0 ]; do
	case $1 in
	--seconds) seconds=$2; shift 2 ;;
	--mb) mb=$2; shift 2 ;;
	--limit-mb) limit_mb=$2; shift 2 ;;
	--policy) policy=$2; shift 2 ;;
	--rounds) rounds=$2; shift 2 ;;
	--pairs) pairs=$2; shift 2 ;;
	--swap) swap=$2; shift 2 ;;
	--only) only=$2; shift 2 ;;
	--quick) quick=yes seconds=1 mb=256 rounds=1 pairs=1; shift ;;
	--help) sed -n '4,14s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) die "unknown option '$1'" ;;
	esac
done
: "${limit_mb:=$((mb / 4))}"

touch=$builddir/tests/bench/touch
[ -x "$extmem" ] || die "there is no '$extmem': build first"
[ -x "$touch" ] || die "there is no '$touch': make check_PROGRAMS builds it"
"$extmem" run --swap "$swap" -- true || die "'extmem run' does not work here"

wanted() {
	[ -z "$only" ] || [ "$only" = "$1" ]
}

# ---- the kernel's own swap -------------------------------------------------

cgroup=''
swap_file=''
page_cluster=/proc/sys/vm/page-cluster
page_cluster_was=$(cat $page_cluster)

undo() {
	if [ -n "$swap_file" ]; then
		swapoff "$swap_file" 2>/dev/null
		rm -f "$swap_file"
	fi
	if [ "$(cat $page_cluster)" != "$page_cluster_was" ]; then
		echo "$page_cluster_was" >$page_cluster
	fi
	[ -z "$cgroup" ] || rmdir "$cgroup"
	cleanup
}
trap undo EXIT

# Fails, saying why, where a group with a limit cannot be made.
make_cgroup() {
	local name=extmem-bench.$$ limit=$((limit_mb * 1024 * 1024))

	if [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
		mkdir "/sys/fs/cgroup/memory/$name" || return
		cgroup=/sys/fs/cgroup/memory/$name
		echo $limit >"$cgroup/memory.limit_in_bytes"
	elif grep -qs memory /sys/fs/cgroup/cgroup.subtree_control; then
		mkdir "/sys/fs/cgroup/$name" || return
		cgroup=/sys/fs/cgroup/$name
		echo $limit >"$cgroup/memory.max"
	else
		echo "no memory cgroup"
		return 1
	fi
}

make_swap() {
	swap_file=$(mktemp "$swap/extmem-bench-swap.XXXXXX") || return
	chmod 600 "$swap_file"
	fallocate -l $((mb + mb / 2))M "$swap_file" &&
		mkswap "$swap_file" >/dev/null && swapon -p 100 "$swap_file"
}

kernel_ready() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "not root"
		return 1
	fi
	make_cgroup && make_swap
}

# ---- figures ---------------------------------------------------------------

run_extmem() {
	"$extmem" run --policy "$policy" --limit "${limit_mb}M" --swap "$swap" -- "$@"
}

# The shell enters the group and becomes the program. Its word splitting is
# not needed: the arguments arrive as they are.
# shellcheck disable=SC2016
run_kernel() {
	sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$cgroup" "$@"
}

run_floor() {
	"$@" --floor "$limit_mb" --swap "$swap"
}

# pages_per_second RUNNER PATTERN THREADS
pages_per_second() {
	"$1" "$touch" --mb "$mb" --pattern "$2" --threads "$3" --op write \
		--seconds "$seconds" --json | json_number touches_per_second
}

best_of_kernel() {
	local cluster n best=0

	for cluster in 0 3; do
		echo $cluster >$page_cluster
		n=$(pages_per_second run_kernel "$@")
		[ "${n:-0}" -le "$best" ] || best=$n
	done
	echo "$page_cluster_was" >$page_cluster
	echo "$best"
}

# as_text PATTERN PAGES: "17.2 k/s", or for fill "2.01 GB/s".
as_text() {
	awk -v pattern="$1" -v n="$2" 'BEGIN {
		if (n == "-") print "-"
		else if (pattern == "fill") printf "%.2f GB/s\n", n * 4096 / 1e9
		else printf "%.1f k/s\n", n / 1000
	}'
}

# row PATTERN THREADS
row() {
	local i who ours

	rm -f "$scratch"/round.*
	touch "$scratch"/round.{ours,floor,kernel}
	for ((i = 0; i < rounds; i++)); do
		if wanted extmem; then
			pages_per_second run_extmem "$1" "$2" >>"$scratch/round.ours"
			pages_per_second run_floor "$1" "$2" >>"$scratch/round.floor"
		fi
		[ $kernel = no ] || best_of_kernel "$1" "$2" >>"$scratch/round.kernel"
	done
	for who in ours floor kernel; do
		median "$scratch/round.$who" >"$scratch/$who"
	done
	ours=$(cat "$scratch/ours")
	! wanted extmem || [ "$ours" != - ] || bad=yes
	printf '%-8s %7d   %12s %12s %6s %12s %6s\n' "$1" "$2" "$(as_text "$1" "$ours")" \
		"$(as_text "$1" "$(cat "$scratch/floor")")" \
		"$(ratio "$ours" "$(cat "$scratch/floor")")" \
		"$(as_text "$1" "$(cat "$scratch/kernel")")" \
		"$(ratio "$ours" "$(cat "$scratch/kernel")")"
}

table() {
	local why

	kernel=no
	if [ $quick = no ] && wanted kernel; then
		if kernel_ready >"$scratch/why" 2>&1; then
			kernel=yes
		else
			why=$(tail -n 1 "$scratch/why")
			echo "without the kernel's swap: ${why:-it cannot be set up}"
		fi
	fi
	echo "write, $mb MB in $limit_mb MB, policy $policy, median of $rounds times $seconds s"
	printf '%-8s %7s   %12s %12s %6s %12s %6s\n' pattern threads extmem floor x kernel x
	row random 1
	row random 2
	row random 8
	row seq 1
	row seq 2
	row fill 1
}

# ---- programs that fit -----------------------------------------------------

timed() {
	"$measure" "$scratch/time" "$@" </dev/null >/dev/null || bad=yes
	cut -d ' ' -f 1 "$scratch/time"
}

# fit NAME COMMAND...: in turn, each first every other time.
fit() {
	local name=$1 i alone ours managed=("$extmem" run --limit 4G --swap "$swap" --)

	shift
	timed "$@" >/dev/null
	for ((i = 0; i < pairs; i++)); do
		if ((i % 2)); then
			alone=$(timed "$@")
			ours=$(timed "${managed[@]}" "$@")
		else
			ours=$(timed "${managed[@]}" "$@")
			alone=$(timed "$@")
		fi
		echo "$ours $alone"
	done | awk '{ printf "%.4f %.3f\n", $1 / $2, $2 }' | sort -n >"$scratch/ratios"
	awk -v name="$name" '
		{ ratio[NR] = $1; alone[NR] = $2 }
		END {
			printf "%-28s %8.2f s alone   x %.3f   (%.3f to %.3f)\n", name,
				alone[1], (ratio[int((NR + 1) / 2)] + ratio[int(NR / 2) + 1]) / 2,
				ratio[1], ratio[NR]
		}' "$scratch/ratios"
}

fits() {
	local lines=$builddir/tests/lib/lines

	echo "programs that fit their limit: whole run, median of $pairs pairs"
	"$lines" --mb "$([ $quick = yes ] && echo 8 || echo 100)" >"$scratch/lines"
	LC_ALL=C fit "sort --parallel=2" sort --parallel=2 -S 2G "$scratch/lines"
	[ $quick = no ] || return
	if command -v python3 >/dev/null; then
		fit "python3, a dict of a million" python3 -c '
d = {"key %d" % i: i for i in range(1000000)}
print(sum(d.values()))'
	fi
	if command -v xz >/dev/null; then
		"$lines" --mb 4 --words >"$scratch/text"
		fit "xz -6" xz -6 --stdout "$scratch/text"
	fi
}

bad=no
if wanted extmem || wanted kernel; then
	table
fi
if wanted fit; then
	fits
fi
[ $bad = no ] || die "a run failed"
