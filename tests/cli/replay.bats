# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016
#
# extmem run --record, and prefetch.algorithm=replay, which follows what it left.

load helpers

setup() {
	common_setup
	need_paging
	need_tool perl
	cd "$scratch"
}

teardown() {
	common_teardown
}

# 40 MB touched page by page, in an order that no other prefetcher can guess.
at_random='sub touch { srand 7; my $n = 0;
		$n += ord substr $x, 4096 * int rand(9700), 1 for 1 .. 12000; $n }
	$x = "x" x 40_000_000;'
expected=$((12000 * 120))

# run_at_random OPTION... -- PROGRAM
run_at_random() {
	extmem run --limit 16M --swap "$scratch" --stats s.json "$@"
	expect_status 0
	[ -z "$stderr" ]
}

record() {
	run_at_random --record rec -- perl -e "$at_random"' print touch(), "\n"'
	[ "$output" = $expected ]
}

replay=(--set prefetch.algorithm=replay --set prefetch.recording=rec)

# figure NAME [FILE]: of the statistics.
figure() {
	grep -o "\"$1\": [0-9]*" "${2:-s.json}" | grep -o '[0-9]*$'
}

@test "a recording is a trace of what was away" {
	record
	extmem dump trace --format csv rec
	expect_status 0
	[ "$(sed 1d <<<"$output" | cut -d, -f5 | sort -u | xargs)" = "major soft" ]
	major=$(grep -o '"major": {"count": [0-9]*' s.json | grep -o '[0-9]*$')
	[ "$(grep -c ,major, <<<"$output")" = "$major" ]
	extmem policy simulate --trace rec --policies fifo
	expect_status 0
}

@test "the next run reads ahead by it" {
	record
	[ "$(figure prefetch_used)" -lt 500 ]
	run_at_random "${replay[@]}" -- perl -e "$at_random"' print touch(), "\n"'
	[ "$output" = $expected ]
	[ "$(figure prefetch_used)" -gt 2000 ]
	[ "$(figure prefetch_used)" -gt $(($(figure pages_prefetched) * 3 / 4)) ]
}

@test "so it does with threads that serve faults, and by a whole trace" {
	need_thread_delivery
	run_at_random --trace rec --set faults.delivery=thread -- \
		perl -e "$at_random"' print touch(), "\n"'
	run_at_random "${replay[@]}" --set faults.delivery=thread -- \
		perl -e "$at_random"' print touch(), "\n"'
	[ "$output" = $expected ]
	[ "$(figure prefetch_used)" -gt 2000 ]
}

@test "a program that goes another way is left alone" {
	record
	run_at_random "${replay[@]}" -- perl -e "${at_random/srand 7/srand 8}"' print touch(), "\n"'
	[ "$output" = $expected ]
	[ "$(figure pages_prefetched)" -lt 2000 ]
}

@test "of a tree each process replays what one of its name did" {
	record
	mkdir elsewhere
	run_at_random "${replay[@]}" --stats 's.%p' -- bash -c \
		'cd elsewhere; exec 3<&-; perl -e '"'$at_random"' print touch(), " $$\n"'"'; echo \$\$"
	{ read -r sum pid && read -r shell; } <<<"$output"
	[ "$sum" = $expected ]
	[ "$(figure prefetch_used "s.$pid")" -gt 2000 ]
	[ "$(figure pages_prefetched "s.$shell")" -eq 0 ]
}

@test "a forked child goes on in it" {
	record
	run_at_random "${replay[@]}" --stats 's.%p' -- perl -e "$at_random"'
		if (my $pid = fork) { wait; print "$pid\n" } else { print touch(), " " }'
	read -r sum pid <<<"$output"
	[ "$sum" = $expected ]
	[ "$(figure prefetch_used "s.$pid")" -gt 2000 ]
}

@test "without a good recording nothing is started" {
	refuse() {
		extmem run --swap "$scratch" "${@:2}" -- echo started
		expect_status 125
		expect_line "$1"
		[ -z "$output" ]
	}
	refuse "'prefetch.recording' is empty: expected the file" --set prefetch.algorithm=replay
	refuse "cannot open 'rec': No such file" "${replay[@]}"
	mkdir rec
	refuse "cannot replay 'rec': it is no ordinary file" "${replay[@]}"
	rmdir rec
	echo "no, not this" >rec
	refuse "'rec' is no trace" "${replay[@]}"
	: >rec
	refuse "'rec' is empty" "${replay[@]}"
	record
	refuse "what is replayed; name another file" "${replay[@]}" --record rec
	refuse "what is replayed; name another file" "${replay[@]}" --trace rec
	refuse "cannot write a recording to '/no/such/r'" --record /no/such/r
	refuse "no ordinary file" --record /dev/null
	printf 'EMBLOCK\n\xff\xff\xff\xff' >>rec
	refuse "'rec' is damaged at byte" "${replay[@]}"
	extmem run --trace t --record r true
	expect_status 125
	[[ $stderr == *"--trace and --record cannot go together"* ]]
}

@test "one that was cut is replayed up to there" {
	record
	truncate -s -7 rec
	run_at_random "${replay[@]}" -- perl -e "$at_random"' print touch(), "\n"'
	[ "$output" = $expected ]
	[ "$(figure prefetch_used)" -gt 2000 ]
}

@test "--dry-run says where is recorded, and makes no file" {
	extmem run --dry-run --swap "$scratch" --record rec true
	[ ! -e rec ]
	expect_output "export EXTMEM_RECORD='$scratch/rec'"
	expect_output "unset EXTMEM_TRACE"
	expect_output ": >'$scratch/rec'"
	record
	extmem run --dry-run --swap "$scratch" "${replay[@]}" true
	expect_output "prefetch.recording=$scratch/rec"
}

# Touches when told to, and says so.
start_process() {
	"$EXTMEM" run --limit 16M --swap "$scratch" "$@" -- perl -e "$at_random"'
		alarm 60; $| = 1; $SIG{USR1} = sub { $told++ }; print "ready\n";
		while (1) { select undef, undef, undef, 0.02; print touch(), "\n" if $told && $told-- }
	' >out 2>err 3>&- &
	pid=$!
	own "$pid"
	told=0
	for _ in $(seq 300); do
		grep -q ready out && return
		sleep 0.1
	done
	fail_with "the process did not start"
}

# tell: it touches all once more.
tell() {
	kill -USR1 "$pid"
	told=$((told + 1))
	for _ in $(seq 300); do
		[ "$(grep -c "^$expected$" out)" -eq $told ] && break
		sleep 0.1
	done
	[ "$(grep -c "^$expected$" out)" -eq $told ]
	[ ! -s err ]
	"$EXTMEM" stat --json "$pid" >now.json
}

@test "a running process begins to replay, and ceases" {
	record
	start_process
	tell
	extmem policy apply "$pid" "${replay[@]}"
	expect_status 0
	expect_output "+ prefetch.recording=$scratch/rec"
	before=$(figure prefetch_used now.json)
	tell
	[ "$(figure prefetch_used now.json)" -gt $((before + 2000)) ]
	for prefetcher in stride replay none replay; do
		extmem policy apply "$pid" --set prefetch.algorithm=$prefetcher
		expect_status 0
		tell
	done
	cp rec other
	extmem policy apply "$pid" --set prefetch.recording=other
	expect_status 0
	before=$(figure prefetch_used now.json)
	tell
	[ "$(figure prefetch_used now.json)" -gt $((before + 2000)) ]
	rm rec other
	tell
}

@test "what a running process cannot replay is refused, and nothing changes" {
	record
	start_process
	extmem policy apply "$pid" --set prefetch.algorithm=replay
	expect_status 1
	expect_line "'prefetch.recording' is empty"
	extmem policy apply "$pid" --set prefetch.algorithm=replay \
		--set prefetch.recording=none
	expect_status 1
	expect_line "cannot open 'none'"
	perl -0777 -pi -e 'substr $_, 80, 4, "bash"' rec
	extmem policy apply "$pid" "${replay[@]}" --set eviction.algorithm=fifo
	expect_status 1
	expect_line "has no faults of a program 'perl'"
	extmem policy show "$pid"
	expect_output "  algorithm: lru"
	expect_output "  algorithm: stride"
	tell
}
