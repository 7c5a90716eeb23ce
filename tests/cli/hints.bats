#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What a program tells the library about its memory (libextmem(3)), by the
# header alone: under extmem it is heard, without it nothing happens.

load helpers

setup() {
	common_setup
	need_tool gcc
	cd "$scratch"
	[ -x "$BATS_FILE_TMPDIR/hints" ] || build_hints
}

teardown() {
	common_teardown
}

build_hints() {
	cat >"$BATS_FILE_TMPDIR/hints.c" <<-'END'
	#define EXTMEM_OPTIONAL
	#include <extmem.h>
	#include <errno.h>
	#include <stdio.h>
	#include <stdlib.h>
	#include <string.h>
	#include <sys/mman.h>
	#include <unistd.h>
	#define MB (1ul << 20)
	static char *map(size_t n)
	{
		return mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	static int check(int ok, const char *what)
	{
		if (!ok)
			printf("wrong: %s (errno %d)\n", what, errno);
		return ok;
	}
	int main(int argc, char **argv)
	{
		char *a = map(16 * MB), *b = map(40 * MB);
		struct extmem_stats before, after;
		int managed = extmem_active && extmem_active();
		printf("managed %d\n", managed);
		check(extmem_hint_name(a, 16 * MB, "index") == 0, "a name");
		check(extmem_hint_pin(a, 4 * MB, 1) == 0, "a pin");
		memset(a, 1, 16 * MB);
		for (int round = 0; round < 2; round++)
			memset(b, 2, 40 * MB);
		if (!managed)
			return 0;
		extmem_stats_get(&before, sizeof before);
		for (size_t i = 0; i < 4 * MB; i += 4096)
			check(a[i] == 1, "contents");
		extmem_stats_get(&after, sizeof after);
		check(after.faults_major == before.faults_major, "what is pinned is in");
		check(extmem_pin(a, 4 * MB, 0) == 0, "no pin");
		check(extmem_pin(b, 40 * MB, 1) == -1 && errno == ENOMEM, "too much to pin");
		check(extmem_advise(b, 40 * MB, EXTMEM_ADVICE_DONE) == 0, "done");
		check(extmem_stats_get(&after, sizeof after) && after.resident_bytes < 17 * MB,
		      "what is done with leaves");
		extmem_stats_get(&before, sizeof before);
		check(extmem_advise(b, 8 * MB, EXTMEM_ADVICE_WILL_NEED) == 0, "will need");
		extmem_stats_get(&after, sizeof after);
		check(after.resident_bytes > before.resident_bytes + 4 * MB, "what is needed comes");
		check(extmem_advise(b + 20 * MB, MB, EXTMEM_ADVICE_RANDOM) == 0, "random");
		extmem_stats_get(&before, sizeof before);
		for (size_t i = 0; i < MB; i += 4096)
			check(b[20 * MB + i] == 2, "contents");
		extmem_stats_get(&after, sizeof after);
		check(after.faults_major - before.faults_major == 256, "nothing is read ahead");
		for (int k = EXTMEM_ADVICE_NORMAL; k <= EXTMEM_ADVICE_DONE; k++)
			check(extmem_advise(b, 1, k) == 0, "every advice");
		check(extmem_advise(b, 1, 99) == -1 && errno == EINVAL, "an unknown one");
		check(extmem_advise(&managed, 4, EXTMEM_ADVICE_HOT) == -1 && errno == ENOMEM,
		      "the stack is not managed");
		check(extmem_name(a, 1, "a name of more than thirty-one bytes") == -1 &&
		      errno == EINVAL, "a long name");
		char command[200];
		snprintf(command, sizeof command, "LD_PRELOAD= '%s' dump regions %d", argv[1],
			 (int)getpid());
		return argc > 1 ? system(command) : 0;
	}
	END
	gcc -Wall -Wextra -Werror -o "$BATS_FILE_TMPDIR/hints" "$BATS_FILE_TMPDIR/hints.c" \
		-I"$SOURCE/lib"
}

@test "without extmem the hints do nothing" {
	run "$BATS_FILE_TMPDIR/hints"
	[ "$status" -eq 0 ]
	[ "$output" = "managed 0" ]
}

@test "under extmem what a program says of its memory is heard" {
	need_paging
	extmem run --limit 24M --swap "$scratch" -- "$BATS_FILE_TMPDIR/hints" "$EXTMEM"
	expect_status 0
	expect_output "managed 1"
	[[ $output != *wrong* ]]
	grep -q ' 16.0M .* index$' <<<"$output"
}
