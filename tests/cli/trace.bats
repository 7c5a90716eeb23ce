# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016
#
# Recorded traces: extmem run --trace, extmem dump trace, and what
# extmem policy simulate and advise make of them.

load helpers

setup() { common_setup; }
teardown() { common_teardown; }

# ---- traces by hand, from extmem-trace(5) ------------------------------------

# le BYTES NUMBER
le() {
	local i

	for ((i = 0; i < $1; i++)); do
		printf '%b' "\\x$(printf %02x $(($2 >> 8 * i & 255)))"
	done
}

# zeros_after TEXT BYTES: TEXT filled up.
zeros_after() {
	printf %s "$1"
	head -c $(($2 - ${#1})) /dev/zero
}

# program [VERSION]: pages of 4 KiB, granules of 16, at 0x480000000000.
program() {
	printf 'EMTRACE\n'
	le 4 112; le 4 "${1:-1}"; le 4 4711; le 4 4096; le 4 16384; le 4 0
	le 8 $((0x480000000000)); le 8 $((1 << 30)); le 8 $((8 << 20))
	le 8 1700000000000000000; le 8 1000000; le 8 99
	zeros_after made 16; zeros_after lru 16
}

# block START-NS THREAD COUNT BYTE...
block() {
	printf 'EMBLOCK\n'
	le 4 $((32 + $# - 3)); le 4 "$3"; le 8 "$1"; le 4 "$2"; le 4 0
	for byte in "${@:4}"; do
		printf '%b' "\\x$byte"
	done
}

# The example of the manual in thread 7; thread 8, and in it 9, come in between.
trace() {
	program
	block 1002000 7 2 a8 01 00 12 ac 02
	block 1002100 8 2 a1 01 00 97 01 2b 00
}

# ---- dump trace ----------------------------------------------------------------

@test "a trace made by hand is shown as the manual says" {
	trace >"$scratch/t"
	[ "$(wc -c <"$scratch/t")" -eq $((112 + 38 + 39)) ]
	extmem dump trace "$scratch/t"
	expect_status 0
	diff -u - <(echo "$output") <<'END'
# made, process 4711, limit 8.0M, granules of 16.0K, algorithm lru, 2023-11-14T22:13:20Z
     0.000002000       7 first write 480000005000
     0.000002100       8 soft  read  480000005000
     0.000002100       9 clean write 480000006000
     0.000002300       7 major read  480000004000
END
	extmem dump trace --format csv - <"$scratch/t"
	expect_status 0
	diff -u - <(echo "$output") <<'END'
time,obj_id,size,op,kind,thread
2,5,4096,write,first,7
2,5,4096,read,soft,8
2,6,4096,write,clean,9
2,4,4096,read,major,7
END
	extmem dump trace --json "$scratch/t"
	expect_status 0
	[ "$(tail -n 1 <<<"$output")" = '{"time_ns": 2300, "program": 0, "thread": 7, "kind": "major", "op": "read", "address": "0x480000004000", "page": 4}' ]
}

@test "pages of programs that follow each other are apart" {
	{ trace; trace; } >"$scratch/t"
	extmem dump trace --format csv "$scratch/t"
	expect_status 0
	[ "$(sed -n 6p <<<"$output")" = "2,$(((1 << 18) + 5)),4096,write,first,7" ] ||
		fail_with "$output"
	[ "$(wc -l <<<"$output")" -eq 9 ]
}

@test "a trace that is cut is good up to there" {
	trace >"$scratch/whole"
	for bytes in 188 187 186; do
		head -c $bytes "$scratch/whole" >"$scratch/t"
		extmem dump trace "$scratch/t"
		expect_status 0
		expect_line "is cut"
		[ "$(grep -vc '#' <<<"$output")" -eq 3 ] || fail_with "$bytes"
	done
	for bytes in 113 125 145; do
		head -c $bytes "$scratch/whole" >"$scratch/t"
		extmem dump trace "$scratch/t"
		expect_status 0
		expect_line "is cut"
		[ "$output" = "$(grep '#' <<<"$output")" ] || fail_with "$bytes"
	done
	head -c 50 "$scratch/whole" >"$scratch/t"
	extmem dump trace "$scratch/t"
	expect_status 1
	expect_line "cut in its first part"
}

@test "what is no trace is refused with the reason" {
	: >"$scratch/t"
	extmem dump trace "$scratch/t"
	expect_status 1
	expect_line "is empty"
	echo 1 >"$scratch/t"
	extmem dump trace "$scratch/t"
	expect_status 1
	expect_line "is no trace"
	program 2 >"$scratch/t"
	extmem dump trace "$scratch/t"
	expect_status 1
	expect_line "has version 2"
	{ trace; echo more than twelve bytes; } >"$scratch/t"
	extmem dump trace "$scratch/t"
	expect_status 1
	expect_line "damaged at byte 189"
	[ "$(grep -vc '#' <<<"$output")" -eq 4 ]
	{ program; block 1002000 7 3 a8 01 00 12 ac 02; trace; } >"$scratch/t"
	extmem dump trace "$scratch/t"
	expect_status 1
	expect_line "damaged at byte 112"
	extmem dump trace "$scratch/none"
	expect_status 1
	expect_line "No such file"
}

@test "options of dump trace that do not fit are refused" {
	trace >"$scratch/t"
	extmem dump trace --format xml "$scratch/t"
	expect_status 2
	expect_line "txt, csv or json"
	for args in "trace" "trace $scratch/t $scratch/t" "trace --core $scratch/t $scratch/t" \
		"trace --json --format csv $scratch/t" "pages --format csv 1"; do
		# shellcheck disable=SC2086
		extmem dump $args
		expect_status 2
	done
}

# ---- of real programs -----------------------------------------------------------

# same_count [OPTION...]: as many faults in t as the figures in s.json say.
same_count() {
	local counted

	counted=$(grep -oE '"(first|soft|major)": \{"count": [0-9]+' "$scratch/s.json" |
		awk '{ n += $NF } END { print n }')
	extmem dump trace --format csv "$scratch/t"
	expect_status 0
	[ -z "$stderr" ]
	[ "$(sed 1d <<<"$output" | wc -l)" -eq "$counted" ] ||
		fail_with "$counted faults were counted"
	sed 1d <<<"$output" | cut -d, -f1 | sort -nc
}

@test "every fault that is counted is in the trace, and in order" {
	need_paging
	verify=${EM_BUILDDIR:-$SOURCE/build}/tests/stress/verify
	perl -e 'srand 1; print int(rand(1e9)), "\n" for 1 .. 300000' >"$scratch/lines"
	extmem run --limit 8M --swap "$scratch" --trace "$scratch/t" --stats "$scratch/s.json" -- \
		sort -n -S 64M --parallel=1 -o "$scratch/sorted" "$scratch/lines"
	expect_status 0
	same_count
	[ "$(cut -d, -f5 <<<"$output" | sort -u | grep -c 'first\|soft\|major')" -eq 3 ]
	[ -x "$verify" ] || skip "tests/stress/verify is not built"
	for delivery in signal thread; do
		[ $delivery = signal ] || need_thread_delivery
		extmem run --limit 16M --swap "$scratch" --set faults.delivery=$delivery \
			--trace "$scratch/t" --stats "$scratch/s.json" -- \
			"$verify" --mb 40 --seconds 1 --threads 3
		expect_status 0
		same_count
		[ "$(sed 1d <<<"$output" | cut -d, -f6 | sort -u | wc -l)" -ge 3 ]
	done
}

@test "each process of a tree records its own faults" {
	need_paging
	extmem run --limit 16M --swap "$scratch" --trace "$scratch/t.%p" --stats "$scratch/s.%p" -- \
		perl -e 'my $x = "x" x 20_000_000; my $pid = fork; $x =~ tr/x/y/;
			if ($pid) { wait; print "$$ $pid\n" }'
	expect_status 0
	for pid in $output; do
		cp "$scratch/t.$pid" "$scratch/t"
		cp "$scratch/s.$pid" "$scratch/s.json"
		same_count
		[ "$(sed 1d <<<"$output" | cut -d, -f6 | sort -u)" = "$pid" ]
	done
}

@test "of a program that is killed the trace can be read" {
	need_paging
	"$EXTMEM" run --limit 16M --swap "$scratch" --trace "$scratch/t" -- perl -e \
		'my $x = "x" x 40_000_000; $| = 1; print "ready\n"; while (1) { $x =~ tr/xy/yx/ }' \
		>"$scratch/out" 3>&- &
	pid=$!
	own "$pid"
	for _ in $(seq 400); do
		[ "$(wc -c <"$scratch/t")" -gt 20000 ] && break
		sleep 0.05
	done
	kill -KILL "$pid"
	wait "$pid" || true
	extmem dump trace "$scratch/t"
	expect_status 0
	[ "$(grep -vc '#' <<<"$output")" -gt 1000 ]
}

# ---- simulate and advise -----------------------------------------------------------

# misses OPTION...: of fifo, by JSON.
misses() {
	extmem policy simulate --policies fifo --json "$@"
	expect_status 0
	sed -n 's/.*"fifo", "misses": \(\[[^]]*\]\).*/\1/p' <<<"$output"
}

@test "a recorded trace is simulated in granules or pages, and so is its CSV" {
	trace >"$scratch/t"
	# Pages 5 5 6 4 are granules 1 1 1 1; with one page of memory 5 hits once.
	[ "$(misses --trace "$scratch/t" --limits 1)" = "[1]" ]
	[ "$(misses --trace "$scratch/t" --limits 1 --unit page)" = "[3]" ]
	[ "$(misses --trace - --limits 4K,8K,16K --unit page <"$scratch/t")" = "[3, 3, 3]" ]
	{ trace; trace; } >"$scratch/two"
	[ "$(misses --trace "$scratch/two" --limits 16)" = "[2]" ]
	extmem dump trace --format csv "$scratch/t"
	[ "$(misses --trace - --limits 1 <<<"$output")" = "[3]" ]
	extmem policy simulate --trace "$scratch/t" --unit tile
	expect_status 2
	expect_line "expected page or granule"
	extmem policy simulate --trace "$scratch/t" --limits 1K
	expect_status 2
	expect_line "a size such as 64M"
	head -c 120 "$scratch/t" >"$scratch/cut"
	extmem policy simulate --trace "$scratch/cut"
	expect_status 1
	expect_line "there is no fault in it"
	echo Error >"$scratch/cut"
	extmem policy simulate --trace "$scratch/cut"
	expect_status 1
	expect_line "is no trace"
}

@test "the chart has a curve for each algorithm and the optimum" {
	extmem policy simulate -s zipf --pages 400 --references 4000 --svg "$scratch/c.svg"
	expect_status 0
	python3 - "$scratch/c.svg" <<'END'
import sys
import xml.etree.ElementTree as tree

svg = "{http://www.w3.org/2000/svg}"
root = tree.parse(sys.argv[1]).getroot()
curves = root.findall(svg + "polyline")
words = [t.text for t in root.iter(svg + "text")]
assert len(curves) >= 13, len(curves)
assert [c.get("class") for c in curves].count("optimum") == 1
assert "optimum" in words and "lru" in words and "miss ratio" in words
for c in curves:
    points = [tuple(map(float, p.split(","))) for p in c.get("points").split()]
    assert len(points) == 20, points
    assert all(64 <= x <= 664 and 64 <= y <= 434 for x, y in points), points
best = [float(p.split(",")[1]) for p in curves[-1].get("points").split()]
assert best == sorted(best), "more memory, more misses"
for c in curves:
    for y, p in zip(best, c.get("points").split()):
        assert float(p.split(",")[1]) <= y, "below the optimum"
END
	extmem policy simulate -s loop --pages 40 --references 400 --svg /no/such/c.svg
	expect_status 1
	[[ $stderr == *"cannot write '/no/such/c.svg': No such file"* ]]
}

@test "advise: a loop speaks for mru, a hot set for a limit that holds it" {
	python3 -c 'for i in range(60000): print(i % 6000)' >"$scratch/loop"
	extmem policy advise --trace "$scratch/loop"
	expect_status 0
	[[ $output == *"Algorithm: mru"*"limits:"*"algorithm: mru"* ]] || fail_with "no mru"
	echo "$output" >"$scratch/p.yaml"
	extmem policy check "$scratch/p.yaml"
	expect_status 0
	python3 -c 'import random
random.seed(5)
for i in range(60000): print(random.randrange(3000) if i % 10 else 3000 + i // 10)' >"$scratch/hot"
	extmem policy advise --trace "$scratch/hot" --json
	expect_status 0
	python3 -c 'import json, sys
a = json.loads(sys.argv[1])
assert a["reason"] == "knee" and 3000 <= a["limit_units"] <= 4000, a
assert a["optimum_miss_ratio"] <= a["miss_ratio"] <= a["second_miss_ratio"], a' "$output"
	extmem policy advise --trace "$scratch/hot"
	first=$output
	extmem policy advise --trace "$scratch/hot"
	[ "$first" = "$output" ]
	seq 1000 >"$scratch/once"
	extmem policy advise --trace "$scratch/once"
	expect_status 0
	[[ $output == *"which no amount of memory avoids"*"memory: 8M"* ]]
	extmem policy advise
	expect_status 2
	expect_line "--trace FILE"
}
