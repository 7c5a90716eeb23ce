# SPDX-License-Identifier: MIT
# extmem stat: what it shows, and one clear line for what it cannot show.

load helpers

setup() {
	common_setup
}

teardown() {
	common_teardown
}

# ---- what cannot be shown --------------------------------------------------

@test "stat of a pid that nobody has" {
	true 3>&- &
	gone=$!
	wait $gone
	extmem stat "$gone"
	expect_status 1
	expect_line "no such process: $gone"
}

@test "stat of a process that has ended but was not waited for" {
	perl -e 'if (!fork) { exit 0 } $| = 1; print "x"; sleep 1000' >"$scratch/out" 3>&- &
	own $!
	for _ in $(seq 100); do
		dead=$(ps -o pid=,stat= --ppid $! | awk '$2 ~ /^Z/ { print $1 }')
		[ -z "$dead" ] || break
		sleep 0.05
	done
	extmem stat "$dead"
	expect_status 1
	expect_line "process $dead has ended"
}

@test "stat of a process that is not managed" {
	sleep 1000 3>&- &
	own $!
	extmem stat $!
	expect_status 1
	expect_line "not managed by extmem"
}

@test "stat of another user's process" {
	need_root
	fake good
	extmem_as_nobody stat "$fake_pid"
	expect_status 1
	expect_line "belongs to another user"
}

@test "stat of a segment of noise" {
	fake garbage
	extmem stat "$fake_pid"
	expect_status 1
	expect_line "wrong magic number"
}

@test "stat of a segment that is too short for a head" {
	fake short
	extmem stat "$fake_pid"
	expect_status 1
	expect_line "truncated (12 bytes)"
}

@test "stat of a segment that ends too early" {
	fake truncated
	extmem stat "$fake_pid"
	expect_status 1
	expect_line "truncated (4096 bytes"
}

@test "stat of a newer version names the way out" {
	fake newer
	extmem stat "$fake_pid"
	expect_status 1
	expect_line "version 99"
	expect_line "written by a newer extmem: use its 'extmem stat'"
}

@test "statistics inherited from a parent are not the process's own" {
	fake inherited
	extmem stat "$fake_pid"
	expect_status 1
	expect_line "not managed by extmem"
}

@test "stat of something that is not a pid" {
	extmem stat 12x
	expect_status 2
	expect_line "not a process id: '12x'"
	extmem stat 0
	expect_status 2
}

@test "stat shows what it can, and fails for what it cannot" {
	sleep 1000 3>&- &
	other=$!
	own "$other"
	fake good
	extmem stat "$other" "$fake_pid"
	expect_status 1
	expect_line "not managed"
	expect_output "process $fake_pid: fake"
}

# ---- what is shown ---------------------------------------------------------

@test "stat of a pid shows every figure" {
	fake good
	extmem stat "$fake_pid"
	expect_status 0
	[ -z "$stderr" ]
	[[ $output =~ limit\ +16\.0M ]]
	[[ $output =~ resident\ +11\.7M\ +at\ most\ 13\.7M ]]
	[[ $output =~ standby\ +40\.0K ]]
	[[ $output =~ stored\ +80\.0K ]]
	[[ $output =~ free\ below\ the\ limit\ +3\.9M ]]
	[[ $output =~ first\ touch\ +100 ]]
	[[ $output =~ major\ +12\ +8\.3us ]]
	expect_output "algorithm lru, way out copy, tier file /var/tmp"
}

# Other tests may run beside this one: the list holds more than ours.
@test "stat without a pid lists the managed processes of the user" {
	fake good
	extmem stat
	[[ $output =~ PID\ +COMMAND\ +LIMIT ]]
	[[ $output =~ $fake_pid\ fake\ +16\.0M\ +11\.7M ]]
}

@test "the list leaves out what is not extmem's, and says what is newer" {
	fake garbage
	garbage=$fake_pid
	fake newer
	extmem stat
	expect_status 1
	[[ $stderr == *"process $fake_pid have version 99"* ]]
	[[ $stderr != *" $garbage "* ]]
	[[ $output != *" $garbage "* ]]
}

@test "stat --json is one object a line, with sums over all shards" {
	need_tool jq
	fake good
	extmem stat --json "$fake_pid"
	expect_status 0
	[ "$(wc -l <<<"$output")" = 1 ]
	jq -e --argjson pid "$fake_pid" '.pid == $pid and .command == "fake" and
		.limit_bytes == 16777216 and .resident_bytes == 12288000 and
		.free_bytes == 4096000 and .standby_bytes == 40960 and
		.faults.major.count == 12 and .faults.major.mean_ns == 8333 and
		.faults.major.p50_ns == .faults.major.p999_ns and
		.faults.soft.p99_ns == 0' <<<"$output"
}

@test "percentiles are the upper edge of a bucket" {
	fake good
	extmem stat --json "$fake_pid"
	# Bucket 40 is 128 ns << 11 and up, bucket 41 begins at 1.25 times that.
	[[ $output == *'"major": {"count": 12, "mean_ns": 8333, "p50_ns": 327680,'* ]]
}

@test "strings without end, quotes and control characters do no harm" {
	fake noisy
	extmem stat "$fake_pid"
	expect_status 0
	[[ $output != *$'\e'* ]]
	extmem stat --json "$fake_pid"
	expect_status 0
	[ "$(wc -l <<<"$output")" = 1 ]
	[[ $output != *$'\e'* ]]
	! command -v jq >/dev/null || jq -e .command <<<"$output"
	extmem stat
	[[ $output != *$'\e'* ]]
}

@test "stat --interval --count prints that many lines under a header" {
	fake good
	extmem stat --interval 0.05 --count 3 "$fake_pid"
	expect_status 0
	[ "$(grep -c "^ *$fake_pid " <<<"$output")" = 3 ]
	[ "$(grep -c resident <<<"$output")" = 1 ]
}

@test "the header comes again" {
	fake good
	extmem stat --interval 0.001 --count 45 "$fake_pid"
	expect_status 0
	[ "$(grep -c resident <<<"$output")" = 3 ]
}

@test "stat --interval ends well when the process does" {
	fake good
	(sleep 0.3; kill -KILL "$fake_pid") 3>&- &
	own $!
	extmem stat --interval 0.1 "$fake_pid"
	expect_status 0
	[ -z "$stderr" ]
	[ "$(grep -c "^ *$fake_pid " <<<"$output")" -ge 2 ]
}

@test "stat --interval of what is not there is an error" {
	sleep 1000 3>&- &
	own $!
	extmem stat --interval 0.1 $!
	expect_status 1
	expect_line "not managed"
}

@test "stat --interval and --count want sensible numbers" {
	for bad in 0 -1 nan inf 1x ""; do
		extmem stat --interval "$bad" 1
		expect_status 2
		expect_line "--interval '$bad'"
	done
	for bad in 0 -1 1.5 x ""; do
		extmem stat --count "$bad" 1
		expect_status 2
		expect_line "--count '$bad'"
	done
}

@test "stat fails when its output cannot be written" {
	[ -w /dev/full ] || skip "no /dev/full"
	fake good
	status=0
	"$EXTMEM" stat "$fake_pid" >/dev/full 2>"$scratch/stderr" 3>&- || status=$?
	expect_status 1
}

# ---- a managed process -----------------------------------------------------

@test "stat of a real process under extmem" {
	need_paging
	"$EXTMEM" run --limit 64M --swap "$scratch" -- perl -e \
		'my $x = "x" x 50_000_000; $| = 1; print "ready\n"; sleep 1000' \
		>"$scratch/out" 3>&- &
	pid=$!
	own "$pid"
	for _ in $(seq 200); do
		grep -q ready "$scratch/out" && break
		sleep 0.05
	done
	extmem stat --json "$pid"
	expect_status 0
	expect_output "\"pid\": $pid, "
	expect_output '"command": "perl"'
	expect_output '"limit_bytes": 67108864'
	resident=$(sed 's/.*"resident_bytes": \([0-9]*\).*/\1/' <<<"$output")
	[ "$resident" -gt 0 ]
	[ "$resident" -le 67108864 ]
	extmem stat
	expect_output "$pid perl"
}
