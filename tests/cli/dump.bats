# SPDX-License-Identifier: MIT
# extmem dump: regions and pages of the table that a process shares.

load helpers

setup() {
	common_setup
}

teardown() {
	common_teardown
}

@test "dump regions counts pages by state" {
	fake good
	extmem dump regions "$fake_pid"
	expect_status 0
	[ "$(wc -l <<<"$output")" = 3 ]
	[[ $output =~ 200000000000-200000064000\ +400\.0K\ rw--\ heap\ +7\ +10\ +2\ +88\ +0\ +0\ +- ]]
	[[ $output =~ 200000400000-200000600000\ +2\.0M\ r--p\ mmap\ +9\ +0\ +0\ +0\ +512\ +0\ +3\ +'a?b?' ]]
}

@test "dump regions --json says the same" {
	need_tool jq
	fake good
	extmem dump regions --json "$fake_pid"
	expect_status 0
	jq -es 'length == 2 and .[0].start == "0x200000000000" and
		.[0].resident_pages == 10 and .[0].clean_pages == 4 and
		.[0].stored_pages == 88 and .[0].source == "heap" and
		.[0].rule == 0 and .[1].rule == 3 and
		.[1].untouched_pages == 512 and .[1].pinned == true' <<<"$output"
}

@test "dump pages joins neighbours of equal state" {
	fake good
	extmem dump pages "$fake_pid"
	expect_status 0
	diff -u - <(echo "$output") <<-END
	ADDRESS          PAGES STATE
	200000000000         4 resident clean
	200000004000         6 resident
	20000000a000         2 standby
	20000000c000        88 stored
	200000400000       512 untouched
	END
}

@test "dump pages --json says the same" {
	need_tool jq
	fake good
	extmem dump pages --json "$fake_pid"
	expect_status 0
	jq -es 'length == 5 and .[0] == {address: "0x200000000000", pages: 4,
		state: "resident", clean: true} and .[3].state == "stored"' <<<"$output"
}

@test "dump --region takes any address in the region" {
	fake good
	extmem dump pages "$fake_pid" --region 0x200000400123
	expect_status 0
	[ "$(wc -l <<<"$output")" = 2 ]
	expect_output "200000400000       512 untouched"
	extmem dump regions --region 200000000000 "$fake_pid"
	expect_status 0
	[ "$(wc -l <<<"$output")" = 2 ]
}

@test "dump --region of an address in no region" {
	fake good
	extmem dump pages "$fake_pid" --region 0x1000
	expect_status 1
	expect_line "no region of process $fake_pid holds the address 0x1000"
	extmem dump pages "$fake_pid" --region zz
	expect_status 2
	expect_line "--region 'zz'"
}

@test "dump refuses damage with one line" {
	for shape in garbage short truncated newer inherited bad-table bad-regions torn; do
		fake "$shape"
		for what in regions pages; do
			extmem dump "$what" "$fake_pid"
			expect_status 1
			expect_line ""
		done
	done
}

@test "dump of what is not managed, not there, or another's" {
	sleep 1000 3>&- &
	own $!
	extmem dump pages $!
	expect_status 1
	expect_line "not managed"
	extmem dump pages 2147483000
	expect_status 1
	expect_line "no such process"
	[ "$(id -u)" = 0 ] || return 0
	fake good
	extmem_as_nobody dump regions "$fake_pid"
	expect_status 1
	expect_line "belongs to another user"
}

@test "dump wants to know what, and of whom" {
	for words in "" regions "heap 1" "pages 1 2"; do
		# shellcheck disable=SC2086
		extmem dump $words
		expect_status 2
	done
}

@test "reading the table does not fill its holes" {
	fake good
	table=$(find "/proc/$fake_pid/fd" -lname '*extmem-pages*')
	before=$(stat -L -c %b "$table")
	extmem dump pages "$fake_pid"
	[ "$(stat -L -c %b "$table")" = "$before" ]
}

@test "dump of a real process: regions are sane and pages add up" {
	need_paging
	"$EXTMEM" run --limit 16M --swap "$scratch" -- perl -e \
		'my $x = "x" x 50_000_000; $| = 1; print "ready\n"; sleep 1000' \
		>"$scratch/out" 3>&- &
	pid=$!
	own "$pid"
	for _ in $(seq 200); do
		grep -q ready "$scratch/out" && break
		sleep 0.05
	done
	extmem dump regions "$pid"
	expect_status 0
	echo "$output" | awk 'NR > 1 {
		split($1, a, "-")
		if (a[1] >= a[2] || a[1] < last) { print "bad range " $1; bad = 1 }
		last = a[2]; resident += $6; stored += $8
	}
	END { exit bad || !resident || !stored || resident > 4096 }'
	extmem dump pages "$pid"
	expect_status 0
	echo "$output" | awk '$3 == "stored" { n += $2 } END { exit !n }'
}
