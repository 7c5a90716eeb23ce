#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The policy of a running process: shown, changed, and left alone when a change
# is bad, whoever sends whatever.

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

# A process with 40 MB of heap, written again and again; ends after a minute.
start_process() {
	"$EXTMEM" run --limit 24M --swap "$scratch" "$@" -- perl -e '
		$| = 1; alarm 60; my @a = map { "x" x 1000000 } 1 .. 40; print "ready\n";
		$SIG{USR1} = sub { print "sum ", eval { my $n = 0; $n += length for @a; $n }, "\n" };
		while (1) { substr($_, 1000 * (rand 900), 1) = "y" for @a; select undef, undef, undef, 0.01 }
	' >out 2>err 3>&- &
	pid=$!
	own "$pid"
	for _ in $(seq 300); do
		grep -q ready out && return
		sleep 0.1
	done
	echo "the process did not start" >&2
	return 1
}

# The process has lost nothing and said nothing.
expect_whole() {
	kill -USR1 "$pid"
	for _ in $(seq 300); do
		grep -q sum out && break
		sleep 0.1
	done
	grep -qx "sum 40000000" out
	[ ! -s err ]
}

@test "show PID prints the policy in force, as a policy file" {
	start_process --policy 2q --set eviction.params.in=30
	extmem policy show "$pid"
	expect_status 0
	printf '%s\n' "$output" >shown.yaml
	grep -qx '  memory: 24M' shown.yaml
	grep -qx '  algorithm: 2q' shown.yaml
	grep -qx '  params: {in: 30}' shown.yaml
	extmem policy show - <shown.yaml
	diff shown.yaml - <<<"$output"
	extmem policy show --json "$pid"
	expect_output '"memory": "24M"'
}

@test "apply changes what is named, and nothing else" {
	start_process
	printf 'eviction: {algorithm: s3fifo}\nregions: [{match: {source: heap}, priority: 2}]\n' >new.yaml
	extmem policy apply "$pid" ./new.yaml
	expect_status 0
	expect_output "- eviction.algorithm=lru"
	expect_output "+ eviction.algorithm=s3fifo"
	expect_output "+ regions[0].priority=2"
	[ "$(wc -l <<<"$output")" = 4 ]
	extmem policy apply "$pid" --set prefetch.algorithm=none --set watermarks.high=10%
	expect_status 0
	extmem policy show "$pid"
	expect_output "  algorithm: s3fifo"
	expect_output "  algorithm: none"
	expect_output "  memory: 24M"
	extmem stat "$pid"
	expect_output "algorithm s3fifo"
	extmem policy apply "$pid" ./new.yaml
	[ "$output" = "nothing to change" ]
	expect_whole
}

@test "the parameters of an algorithm go with it" {
	start_process --policy 2q --set eviction.params.in=30 --set eviction.params.out=60 \
		--set 'regions[0].match.source=heap' --set 'regions[0].eviction.params.in=20'
	# Another one by a file, which need not know of them.
	printf 'eviction: {algorithm: fifo}\n' >fifo.yaml
	extmem policy apply "$pid" ./fifo.yaml
	expect_status 0
	expect_output "- eviction.params=in=30 out=60"
	expect_output "+ eviction.algorithm=fifo"
	expect_output "- regions[0].eviction.params=in=20"
	# By --set, with new ones, in either order.
	extmem policy apply "$pid" --set eviction.params.small=20 --set eviction.algorithm=s3fifo
	expect_status 0
	expect_output "+ eviction.params=small=20"
	extmem policy apply "$pid" --set eviction.algorithm=2q --set eviction.params.in=40
	expect_output "- eviction.params=small=20"
	expect_output "+ eviction.params=in=40"
	# By standard input, whose algorithm has parameters of its own.
	extmem policy apply "$pid" - <<<'eviction: {algorithm: s3fifo, params: {small: 5, ghosts: 50}}'
	expect_output "+ eviction.params=small=5 ghosts=50"
	# The same one keeps them, but for those that are named; a file names them all.
	extmem policy apply "$pid" --set eviction.algorithm=s3fifo --set eviction.params.small=6
	expect_output "+ eviction.params=small=6 ghosts=50"
	extmem policy apply "$pid" - <<<'eviction: {algorithm: s3fifo}'
	[ "$output" = "nothing to change" ]
	extmem policy apply "$pid" - <<<'eviction: {params: {small: 7}}'
	expect_output "+ eviction.params=small=7"
	extmem policy apply "$pid" - <<<'eviction: {params: {}}'
	expect_output "- eviction.params=small=7"
	# Parameters of the old one, named for the new one, are refused.
	extmem policy apply "$pid" --set eviction.algorithm=lru --set eviction.params.small=7
	expect_status 1
	expect_line "'eviction.params' has 'small': 'lru' has no such parameter, expected active"
	expect_whole
}

@test "the limit goes up at once, and down as memory gets free" {
	start_process
	extmem policy apply "$pid" --set limits.memory=64M
	expect_status 0
	extmem stat --json "$pid"
	expect_output "\"limit_bytes\": $((64 << 20)),"
	sleep 1
	extmem policy apply "$pid" --set limits.memory=16M
	expect_status 0
	expect_limit $((16 << 20))
	resident=$(grep -o '"resident_bytes": [0-9]*' <<<"$output" | head -n 1)
	[ "${resident##* }" -le $((16 << 20)) ]
	expect_whole
}

@test "a bad change is refused with its reason, and changes nothing" {
	start_process
	extmem policy show "$pid"
	before=$output
	refuse() {
		printf '%b' "$1" >bad.yaml
		extmem policy apply "$pid" ./bad.yaml
		expect_status 1
		expect_line "$2"
		extmem policy show "$pid"
		[ "$output" = "$before" ]
	}
	refuse 'limits: {memory: 12Q}' "./bad.yaml:1:18: 'limits.memory' is '12Q'"
	refuse 'eviction:\n  algorithm: lru\n  params: {active: 99}\n' "expected a whole number from 0 to 90"
	refuse 'manage: {heap: false}' "'manage.heap' is 'true' and cannot change while the program runs"
	refuse 'tiers: [{path: /tmp}]' "cannot change while the program runs"
	refuse "tiers: [{path: '$scratch'}, {path: /tmp}]" "'tiers' cannot change while the program runs"
	refuse 'regions: [{min: 50%}, {min: 50%}]' "expected at most 75%"
	refuse 'watermarks: {low: 40%, high: 10%}' "expected the low one below the high one"
	refuse 'limits: {memory: 8M}\neviction: {algorithm: nonesuch}' "expected fifo"
	extmem policy apply "$pid" none
	expect_status 1
	extmem policy apply "$pid"
	expect_status 2
	extmem policy apply "$pid" --set nothing
	expect_status 1
	expect_whole
}

@test "only the user of the process and root are heard" {
	need_root
	start_process
	extmem_as_nobody policy show "$pid"
	expect_status 1
	expect_line "only the user of the process and root may ask"
	extmem_as_nobody policy apply "$pid" --set limits.memory=16M
	expect_status 1
	expect_whole
}

@test "whatever is sent to the socket, the process goes on" {
	need_tool python3
	start_process
	python3 - "$pid" <<-'END'
	import random, socket, sys
	seed = random.randrange(1 << 30)
	print("seed", seed)
	random.seed(seed)
	good = b"apply\nlimits.memory=24M\neviction.algorithm=fifo\ntiers[0].path=/x\nregions[0].min=10%\n"
	for i in range(400):
	    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
	    s.settimeout(20)
	    s.connect("\0extmem-" + sys.argv[1])
	    kind = i % 5
	    if kind == 0:
	        s.send(bytes(random.randrange(256) for _ in range(random.randrange(1, 3000))))
	    elif kind == 1:
	        cut = bytearray(good)
	        for _ in range(4):
	            cut[random.randrange(len(cut))] = random.randrange(256)
	        s.send(cut)
	    elif kind == 2:
	        s.send(b"apply\n" + b"a" * random.choice([16000, 16390, 16500, 60000]))
	    elif kind == 3:
	        s.send(b"show")
	        assert s.recv(1 << 16).startswith(b"ok\n")
	    s.close()
	END
	extmem policy show "$pid"
	expect_status 0
	expect_whole
}

@test "a forked child has a policy of its own" {
	"$EXTMEM" run --limit 24M --swap "$scratch" -- perl -e '
		$| = 1; alarm 60; my $a = "x" x 30000000; my $child = fork;
		if (!$child) { my $b = "y" x 20000000; print "$$\n"; sleep 60 } sleep 60' >out 3>&- &
	pid=$!
	own "$pid"
	for _ in $(seq 200); do
		[ -s out ] && break
		sleep 0.1
	done
	child=$(cat out)
	own "$child"
	extmem policy apply "$child" --set eviction.algorithm=clock
	expect_status 0
	extmem policy show "$pid"
	expect_output "  algorithm: lru"
	extmem policy show "$child"
	expect_output "  algorithm: clock"
}

@test "who does not listen is said to" {
	extmem policy show 999999999
	expect_status 1
	expect_line "no such process"
	extmem policy show $$
	expect_status 1
	"$EXTMEM" run --limit 24M --swap "$scratch" -- sleep 30 3>&- &
	pid=$!
	own "$pid"
	for _ in $(seq 100); do
		extmem stat "$pid"
		[ "$status" = 0 ] && break
		sleep 0.1
	done
	extmem policy show "$pid"
	expect_status 1
	expect_line "does not listen"
}
