#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Rules for parts of a real program's memory: what they name they get.

load helpers

setup() {
	common_setup
	need_paging
	need_tool gcc
	[ -x "$BATS_FILE_TMPDIR/two" ] || build_two
	cd "$scratch"
}

teardown() {
	common_teardown
}

# Two arrays of 48 MB, one of them named, written in turn; then what of them is
# resident, as `extmem dump regions` sees it from outside.
build_two() {
	cat >"$BATS_FILE_TMPDIR/two.c" <<-'END'
	#include <stdio.h>
	#include <sys/mman.h>
	#include <sys/prctl.h>
	#include <unistd.h>
	#ifndef PR_SET_VMA
	#define PR_SET_VMA 0x53564d41
	#define PR_SET_VMA_ANON_NAME 0
	#endif
	#define BYTES (48ul << 20)
	int main(void)
	{
		char *a = mmap(0, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		char *b = mmap(0, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, a, BYTES, "named");
		for (int round = 1; round < 4; round++)
			for (size_t i = 0; i < BYTES; i += 4096)
				a[i] = b[i] = round;
		for (size_t i = 0; i < BYTES; i += 4096)
			if (i / 4096 % 64 == 0 && (a[i] != 3 || b[i] != 3))
				return 1;
		puts("ready");
		fflush(stdout);
		alarm(60);
		pause();
	}
	END
	gcc -O1 -o "$BATS_FILE_TMPDIR/two" "$BATS_FILE_TMPDIR/two.c"
}

# resident POLICY: pages of the named array and of the other one.
resident() {
	printf '%s\n' "$1" >policy.yaml
	rm -f out
	"$EXTMEM" run --limit 32M --swap "$scratch" --policy ./policy.yaml -- \
		"$BATS_FILE_TMPDIR/two" >out 3>&- &
	pid=$!
	for _ in $(seq 300); do
		[ -s out ] && break
		sleep 0.1
	done
	grep -q ready out
	"$EXTMEM" dump regions "$pid" | awk '
		$NF == "named" && $(NF - 1) == 1 { named = $6 }
		$2 == "48.0M" && $NF != "named" { other = $6 }
		END { print named + 0, other + 0 }'
	kill "$pid"
}

@test "a region of high priority keeps more" {
	read -r named other < <(resident 'regions: [{match: {name: named}, priority: 4}]')
	[ "$named" -gt $((other * 3)) ]
	read -r named other < <(resident 'regions: [{match: {name: named}, priority: -4}]')
	[ "$other" -gt $((named * 3)) ]
}

@test "a region that is pinned stays as long as there is anything else" {
	read -r named other < <(resident 'regions: [{match: {name: named}, pin: true}]')
	[ "$named" -gt $((other * 5)) ]
}

@test "a region has no more than its max, and at least its min" {
	read -r named other < <(resident 'regions: [{match: {name: named}, max: 4M}]')
	[ "$named" -le 2048 ]
	[ "$other" -gt 3000 ]
	read -r named other < <(resident 'regions: [{match: {name: named}, min: 50%, priority: -10}]')
	[ "$named" -ge 3000 ]
}

@test "what a rule leaves to the kernel is not managed" {
	read -r named other < <(resident 'regions: [{match: {caller: "t?o", size: ">=40M"}, manage: never}]')
	[ "$named $other" = "0 0" ]
}

@test "regions may have algorithms and parameters of their own" {
	read -r named other < <(resident 'regions: [{match: {name: named}, eviction: {algorithm: 2q, params: {in: 40}}, prefetch: {algorithm: none}}, {match: {size: ">=40M"}, eviction: {algorithm: mru}}]')
	[ "$named" -gt 0 ]
	[ "$other" -gt 0 ]
}

@test "a name that is not there is EFAULT, one that is paged out is read" {
	need_tool gcc
	cat >name.c <<-'END'
	#include <errno.h>
	#include <stdio.h>
	#include <string.h>
	#include <sys/mman.h>
	#include <sys/prctl.h>
	#ifndef PR_SET_VMA
	#define PR_SET_VMA 0x53564d41
	#define PR_SET_VMA_ANON_NAME 0
	#endif
	#define BYTES (48ul << 20)
	static int name(char *a, char *n)
	{
		return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, a, BYTES, n) ? errno : 0;
	}
	int main(void)
	{
		char *a = mmap(0, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		char *across = a + 3 * 4096 - 5;
		strcpy(across, "across two pages");
		for (size_t i = 4 * 4096; i < BYTES; i += 4096)
			a[i] = 1;
		int r[] = { name(a, across), name(a, (char *)8), name(a, (char *)-4096l),
			    name(a, "a[b"), name(a, NULL), name(a, a + BYTES - 1) };
		printf("%d %d %d %d %d %d\n", r[0] == 0, r[1] == EFAULT, r[2] == EFAULT, r[3] == EINVAL,
		       r[4] == 0, r[5]);
	}
	END
	gcc -O1 -o name name.c
	extmem run --limit 16M --swap "$scratch" -- ./name
	expect_status 0
	expect_output "1 1 1 1 1"
}

@test "a region does not outgrow its max, however fast it is filled" {
	need_paging
	need_tool jq
	echo 'regions: [{match: {source: mmap}, max: 24M}]' >policy.yaml
	for run in "fill 1" "fill 4" "random 1" "random 4"; do
		read -r pattern threads <<<"$run"
		extmem run --limit 128M --swap "$scratch" --policy ./policy.yaml --stats stats -- \
			"${EM_BUILDDIR:-$SOURCE/build}/tests/bench/touch" --mb 96 --op write --seconds 1 \
			--pattern "$pattern" --threads "$threads"
		expect_status 0
		jq -e '.peak_resident_bytes > 16 * 1048576 and
			.peak_resident_bytes < 32 * 1048576' stats
	done
}
