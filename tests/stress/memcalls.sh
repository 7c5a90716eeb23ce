#!/bin/bash
# SPDX-License-Identifier: MIT
#
# memcalls.sh [--seeds N] [--seed N] [--steps N]: random memory calls, natively
# and under extmem by each way out, where addresses are rationed, and with
# faults served by a thread: results, errors and contents must be the same. The
# seed stands in the name of each test.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

seeds=10
first=$((RANDOM * 1000))
steps=1500
[ -z "${EM_TEST_LONG:-}" ] || seeds=1000

while [ $# -gt 0 ]; do
	case $1 in
	--seeds) seeds=$2; shift 2 ;;
	--seed) first=$2; seeds=1; shift 2 ;;
	--steps) steps=$2; shift 2 ;;
	--help) sed -n '4,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) echo "memcalls.sh: unknown option '$1'" >&2; exit 2 ;;
	esac
done

memcalls=$builddir/tests/stress/memcalls
swap=$scratch/swap
mkdir -m 1777 "$swap"
need_extmem

ways=(copy move rationed)
if [ "$(id -u)" -eq 0 ]; then # or whoever else may
	ways+=(thread)
fi
declare -A settings=(
	[copy]=eviction.way_out=copy
	[move]=eviction.way_out=move
	[rationed]=eviction.granule=16K
	[thread]=faults.delivery=thread
)

# managed WAY SEED: the program under extmem, in one of these ways.
managed() {
	[ "$1" != rationed ] || ulimit -v 600000
	exec timeout --kill-after=5 120 "$extmem" run --limit 16M --swap "$swap" \
		--set "${settings[$1]}" -- "$memcalls" --seed "$2" --steps "$steps"
}

for ((seed = first; seed < first + seeds; seed++)); do
	"$memcalls" --seed $seed --steps "$steps" >"$scratch/alone" ||
		tap_bail "memcalls --seed $seed fails natively"
	for way in "${ways[@]}"; do
		name="$steps memory calls, $way, seed $seed"
		(managed "$way" "$seed") >"$scratch/managed" 2>"$scratch/err"
		status=$?
		diff "$scratch/alone" "$scratch/managed" 2>&1 | head -n 6 >>"$scratch/err"
		if [ $status -eq 0 ] && ! [ -s "$scratch/err" ]; then
			tap_ok "$name"
		else
			tap_not_ok "$name: status $status" "$scratch/err"
		fi
	done
done
tap_done
