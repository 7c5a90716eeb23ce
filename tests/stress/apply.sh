#!/bin/bash
# SPDX-License-Identifier: MIT
#
# stress/apply.sh [--long] [--seconds S] [--seed N] [--threads N]: the policy of
# a process under verified load is changed every 100 ms, by files good and bad:
# algorithms, a plug-in, rules, limits up and down, prefetchers, what is replayed, tuning. No byte may be lost,
# a bad file must change nothing. How long an answer and a fault took at most are
# shown for the reader to judge; --calm changes nothing, for comparison. TAP.
# A few seconds; --long, or EM_TEST_LONG in the environment, takes a minute.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

seconds=6
threads=8
seed=$RANDOM
calm=

[ -z "${EM_TEST_LONG:-}" ] || seconds=60
while [ $# -gt 0 ]; do
	case $1 in
	--long) seconds=60; shift ;;
	--seconds) seconds=$2; shift 2 ;;
	--seed) seed=$2; shift 2 ;;
	--threads) threads=$2; shift 2 ;;
	--calm) calm=1; shift ;;
	--help) sed -n '4,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) echo "apply.sh: unknown option '$1'" >&2; exit 2 ;;
	esac
done

verify=$builddir/tests/stress/verify
need_extmem
[ -x "$verify" ] || tap_bail "there is no '$verify': run make check first"
swap=$scratch/swap
mkdir "$swap"
RANDOM=$seed
tap_note "seed $seed, $threads threads, $seconds s"

one_of() {
	local -a words=("$@")
	echo "${words[RANDOM % $#]}"
}

# What the process starts with, and has from then on; a copy of it was not loaded.
plugin=$scratch/slru.so
cp "$builddir/share/examples/policy/slru.so" "$plugin"
cp "$plugin" "$scratch/other.so"

eviction() {
	case $((RANDOM % 8)) in
	0) echo "plugin: $plugin" ;;
	*) echo "algorithm: $(one_of fifo clock lru 2q car s3fifo sieve clock2q+ lirs mru random hyperbolic)" ;;
	esac
}

good_file() {
	echo "limits: {memory: $(one_of 32M 40M 48M 64M 96M)}"
	echo "eviction: {$(eviction), params: {}}"
	echo "prefetch: {algorithm: $(one_of none readahead stride leap markov replay replay), recording: $scratch/$(one_of first second)}"
	case $((RANDOM % 5)) in
	0) echo "regions: []" ;;
	1) echo "regions: [{match: {size: '>=1M'}, eviction: {$(eviction)}, priority: $((RANDOM % 21 - 10))}]" ;;
	2) echo "regions: [{match: {source: heap}, pin: true}, {max: $(one_of 8M 16M 25%), min: 4M}]" ;;
	3) echo "watermarks: {low: $(one_of 1% 2% 4%), high: $(one_of 6% 10%)}" ;;
	4) echo "autotune: {refault_rate: $(one_of none 100/s 5k/s), min: $(one_of 10% 50%)}" ;;
	esac
}

bad_file() {
	one_of "limits: {memory: 1K}" "eviction: {algorithm: best}" "eviction: {params: {no: 1}}" \
		"eviction: {plugin: $scratch/other.so}" "eviction: {plugin: $plugin, params: {protect: 96}}" \
		"prefetch: {algorithm: replay, recording: $scratch/log}" "prefetch: {algorithm: replay, recording: ''}" \
		"manage: {heap: false}" "tiers: [{path: /tmp}]" "regions: [{min: 80%}]" \
		"regions: [{match: {size: big}}]" "watermarks: {low: 50%, high: 1%}" "{" "faults: {delivery: thread}"
}

now_ms() {
	local now=${EPOCHREALTIME/./}
	echo $((now / 1000))
}

# What may be replayed: runs like this one, one of them cut.
"$extmem" run --limit 64M --swap "$swap" --record "$scratch/first" -- "$verify" --mb 256 \
	--threads "$threads" --seconds 1 --seed "$seed" --mode mixed >"$scratch/log" 2>&1 ||
	tap_bail "cannot record: $(tail -n 1 "$scratch/log")"
head -c 20000 "$scratch/first" >"$scratch/second"

"$extmem" run --limit 64M --swap "$swap" --stats "$scratch/stats.json" \
	--set eviction.plugin="$plugin" -- "$verify" --mb 256 --threads "$threads" \
	--seconds $((seconds + 2)) --seed "$seed" --mode mixed >"$scratch/log" 2>&1 &
pid=$!
own "$pid"
sleep 1

good=0 bad=0 wrong=0 slowest=0
end=$(($(now_ms) + seconds * 1000))
[ -z "$calm" ] || end=0
while [ "$(now_ms)" -lt $end ] && kill -0 "$pid" 2>/dev/null; do
	before=$(now_ms)
	if [ $((RANDOM % 3)) -gt 0 ]; then
		good_file >"$scratch/policy.yaml"
		if "$extmem" policy apply "$pid" "$scratch/policy.yaml" >"$scratch/out" 2>&1; then
			good=$((good + 1))
		else
			wrong=$((wrong + 1))
			cat "$scratch/policy.yaml" "$scratch/out" >>"$scratch/wrong"
		fi
	else
		bad_file >"$scratch/policy.yaml"
		"$extmem" policy show "$pid" >"$scratch/a"
		if "$extmem" policy apply "$pid" "$scratch/policy.yaml" >"$scratch/out" 2>&1 ||
			! "$extmem" policy show "$pid" | cmp -s - "$scratch/a"; then
			wrong=$((wrong + 1))
			cat "$scratch/policy.yaml" "$scratch/out" >>"$scratch/wrong"
		fi
		bad=$((bad + 1))
	fi
	took=$(($(now_ms) - before))
	[ $took -le $slowest ] || slowest=$took
	sleep 0.1
done
wait "$pid"
status=$?

if [ $status -eq 0 ]; then
	tap_ok "$((good + bad)) changes, $bad of them bad, and no byte is lost"
else
	tap_not_ok "status $status after $((good + bad)) changes" "$scratch/log"
fi
if [ -n "$calm" ]; then
	tap_skip "changes" "--calm"
elif [ $wrong -eq 0 ] && [ $good -gt 0 ] && [ $bad -gt 0 ]; then
	tap_ok "good changes are made, bad ones change nothing"
else
	tap_not_ok "$wrong changes went wrong" "$scratch/wrong"
fi
if grep -q '^extmem:' "$scratch/log"; then
	tap_not_ok "the library has said something" "$scratch/log"
else
	tap_ok "and the library has said nothing"
fi
longest=$(grep -o '"max_ns": *[0-9]*' "$scratch/stats.json" | tr -dc '0-9\n' | sort -n | tail -1)
tap_note "the slowest answer took $slowest ms, the longest fault $((longest / 1000000)) ms"
tap_done
