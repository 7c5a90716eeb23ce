#!/bin/bash
# SPDX-License-Identifier: MIT
#
# memcalls.sh [--seeds N] [--seed N] [--steps N]: random memory calls, natively
# and under extmem by each way out: results, errors and contents must be the
# same. The seed stands in the name of each test.

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
	--help) sed -n '4,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) echo "memcalls.sh: unknown option '$1'" >&2; exit 2 ;;
	esac
done

memcalls=$builddir/tests/stress/memcalls
swap=$scratch/swap
mkdir -m 1777 "$swap"
need_extmem

for ((seed = first; seed < first + seeds; seed++)); do
	"$memcalls" --seed $seed --steps "$steps" >"$scratch/alone" ||
		tap_bail "memcalls --seed $seed fails natively"
	for way in copy move; do
		name="$steps memory calls, $way, seed $seed"
		timeout --kill-after=5 120 "$extmem" run --limit 16M --swap "$swap" \
			--set "eviction.way_out=$way" -- "$memcalls" --seed $seed \
			--steps "$steps" >"$scratch/managed" 2>"$scratch/err"
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
