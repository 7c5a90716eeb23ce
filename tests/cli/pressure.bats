#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Quotas hold, whoever pages, and a limit that is tuned follows what the program
# needs.

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

# 60 MB, of which one page after the other is written at random; for a second or
# two.
random_writes='
	my @a = map { "x" x 1000000 } 1 .. 60; my $end = time + 3;
	while (time < $end) { substr($a[rand 60], rand 1e6, 1) = "y" for 1 .. 20 }
	my $n = 0; $n += length for @a; print "$n\n"'

# A number of the statistics that the last run left, as VALUE.
number() {
	grep -o "\"$1\": *[0-9.]*" stats.json | head -1 | tr -dc '0-9.'
}

@test "quotas.io_bandwidth bounds what is read and written together" {
	extmem run --limit 16M --swap "$scratch" --stats stats.json \
		--set quotas.io_bandwidth=10M/s -- perl -e "$random_writes"
	expect_status 0
	expect_output 60000000
	# A tenth of a second is given at once, and what is under way is not stopped.
	awk -v bytes="$(($(number bytes_read) + $(number bytes_written)))" \
		-v seconds="$(number uptime_s)" -v waits="$(number quota_waits)" 'BEGIN {
		printf "%d bytes in %.2f s, %d waits\n", bytes, seconds, waits
		exit !(waits > 0 && bytes > 30000000 &&
		       bytes <= 10 * 1048576 * (seconds + 0.1) + 4 * 1048576) }'
}

@test "quotas.faults bounds major faults" {
	extmem run --limit 16M --swap "$scratch" --stats stats.json \
		--set quotas.faults=500/s -- perl -e "$random_writes"
	expect_status 0
	expect_output 60000000
	major=$(grep -o '"major": *{"count": *[0-9]*' stats.json | tr -dc '0-9')
	awk -v n="$major" -v seconds="$(number uptime_s)" 'BEGIN {
		printf "%d faults in %.2f s\n", n, seconds
		exit !(n > 100 && n <= 500 * (seconds + 0.1) + 10) }'
	extmem run --limit 16M --set quotas.faults=500 -- true
	expect_status 125
	expect_line "'quotas.faults' is '500': expected a rate such as 50k/s"
}

@test "a quota changes while the program runs" {
	"$EXTMEM" run --limit 16M --swap "$scratch" --stats stats.json \
		--set quotas.io_bandwidth=1M/s -- perl -e "$random_writes" >out 2>err 3>&- &
	pid=$!
	own "$pid"
	# With 1M/s it would take a minute to fill.
	for _ in $(seq 300); do
		extmem stat --json "$pid"
		grep -q '"quota_waits": *[1-9]' <<<"$output" && break
		sleep 0.1
	done
	extmem policy apply "$pid" --set quotas.io_bandwidth=none
	expect_status 0
	wait "$pid"
	grep -qx 60000000 out
	[ ! -s err ]
	[ "$(number quota_waits)" -gt 0 ]
}

limit_now() {
	"$EXTMEM" stat --json "$pid" | grep -o '"limit_bytes": *[0-9]*' | tr -dc '0-9'
}

@test "autotune finds what is not needed, and gives it back when it is" {
	"$EXTMEM" run --limit 128M --swap "$scratch" --set autotune.refault_rate=100/s -- perl -e '
		$| = 1; alarm 100; my @a = map { "x" x 1000000 } 1 .. 60; print "ready\n"; my $all = 0;
		$SIG{USR1} = sub { $all = 1 };
		$SIG{TERM} = sub { my $n = 0; $n += length for @a; print "sum $n\n"; exit };
		while (1) {
			my $of = $all ? 60 : 5;
			substr($a[rand $of], rand 1e6, 1) = "y" for 1 .. 20 * $of;
			select undef, undef, undef, 0.01 }' >out 2>err 3>&- &
	pid=$!
	own "$pid"
	for _ in $(seq 300); do
		grep -q ready out && break
		sleep 0.1
	done
	# 70 MB are used, and a fiftieth less with every second.
	for _ in $(seq 400); do
		low=$(limit_now)
		[ "$low" -lt 62000000 ] && break
		sleep 0.1
	done
	echo "down to $low"
	[ "$low" -lt 62000000 ]
	# A change of something else leaves it where it was found.
	extmem policy apply "$pid" --set watermarks.high=7%
	expect_status 0
	[ "$(limit_now)" -lt 110000000 ]
	kill -USR1 "$pid"
	for _ in $(seq 300); do
		high=$(limit_now)
		[ "$high" -gt $((low + 4000000)) ] && break
		sleep 0.1
	done
	echo "and up to $high"
	[ "$high" -gt $((low + 4000000)) ]
	kill "$pid"
	wait "$pid"
	grep -qx "sum 60000000" out
	[ ! -s err ]
}
