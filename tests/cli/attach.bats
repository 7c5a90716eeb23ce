#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2154
#
# What attaches to a managed program: debuggers, tracers, profilers, other
# preloaded libraries; and what its core dump tells.

load helpers

BUILD=${EM_BUILDDIR:-$SOURCE/build}
verify=$BUILD/tests/stress/verify

setup() {
	common_setup
	limit=(run --limit 16M --swap "$scratch")
	pattern=/proc/sys/kernel/core_pattern
	saved_pattern=''
	cd "$scratch" || return
}

teardown() {
	[ -z "$saved_pattern" ] || printf '%s\n' "$saved_pattern" >"$pattern"
	cd /
	common_teardown
}

need_attach() {
	need_tool "$1"
	need_paging
	[ -x "$verify" ] || skip "tests/stress/verify is not built"
}

# A tool that runs the program, both managed or only the program under it.
expect_all_good() {
	expect_status 0
	expect_output "all good"
}

pass_signals='handle SIGBUS SIGSYS nostop noprint pass'

# Starts $verify for some seconds; sets $victim.
start_victim() {
	"$EXTMEM" "${limit[@]}" -- "$verify" --seconds 4 --threads 2 \
		>"$scratch/victim" 2>&1 3>&- &
	victim=$!
	own "$victim"
	sleep 1
}

victim_is_fine() {
	wait "$victim"
	grep -q "all good" "$scratch/victim"
}

@test "gdb: breakpoints and steps in a managed program" {
	need_attach gdb
	extmem "${limit[@]}" -- gdb -q -batch -ex "$pass_signals" -ex 'break step_file' \
		-ex run -ex next -ex next -ex step -ex bt -ex 'delete' -ex continue \
		--args "$verify" --seconds 1 --threads 2
	expect_all_good
	expect_output "hit Breakpoint 1"
	expect_output "exited normally"
}

@test "gdb: attaches to a managed program and leaves it, twice" {
	need_attach gdb
	start_victim
	for _ in 1 2; do
		gdb -q -batch -p "$victim" -ex 'info threads' -ex detach \
			>"$scratch/gdb" 2>&1 3>&-
		grep -q extmem-reclaim "$scratch/gdb"
	done
	victim_is_fine
}

@test "strace: a managed program under it, with its children" {
	need_attach strace
	extmem "${limit[@]}" -- strace -f -o trace "$verify" --seconds 1 --threads 2
	expect_all_good
	grep -q 'si_signo=SIGBUS, si_code=BUS_ADRERR' trace
}

@test "strace: around extmem run" {
	need_attach strace
	status=0
	output=$(strace -f -o trace "$EXTMEM" "${limit[@]}" -- "$verify" --seconds 1 \
		2>"$scratch/stderr" 3>&-) || status=$?
	expect_all_good
}

@test "strace: attaches and leaves" {
	need_attach strace
	start_victim
	timeout 1 strace -f -o trace -p "$victim" 2>/dev/null 3>&- || [ $? = 124 ]
	[ -s trace ]
	victim_is_fine
}

# Without -f it puts breakpoints into threads that it does not know of.
@test "ltrace: a managed program under it" {
	need_attach ltrace
	extmem "${limit[@]}" -- ltrace -f -o trace -e malloc "$verify" --seconds 1
	expect_all_good
	grep -q 'malloc(' trace
}

@test "perf: records a managed program" {
	need_attach perf
	perf stat -o /dev/null true 2>/dev/null 3>&- || skip "perf cannot count here"
	extmem "${limit[@]}" -- perf record -q -o data "$verify" --seconds 1
	expect_all_good
	[ -s data ]
}

@test "valgrind below a managed shell runs unmanaged, and it is said" {
	need_attach valgrind
	extmem "${limit[@]}" -- sh -c 'valgrind -q --log-file=log /bin/echo fine'
	expect_status 0
	expect_output fine
	[[ $stderr == *"memory is not managed"* ]] || fail_with "expected a line on stderr"
}

# ---- other libraries -------------------------------------------------------

@test "preload: the user's own library works behind ours" {
	need_attach cc
	cat >own.c <<-'END'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <string.h>
		char *secure_getenv(const char *name)
		{
			static char seen[] = "from the user's library";
			char *(*real)(const char *) = dlsym(RTLD_NEXT, "secure_getenv");
			return strcmp(name, "OWN") ? real(name) : seen;
		}
	END
	cat >program.c <<-'END'
		#define _GNU_SOURCE
		#include <stdio.h>
		#include <stdlib.h>
		int main(void)
		{
			printf("%s\n%s\n", secure_getenv("OWN"), getenv("LD_PRELOAD"));
			return 0;
		}
	END
	cc -shared -fPIC -o own.so own.c
	cc -o program program.c
	LD_PRELOAD=$scratch/own.so extmem "${limit[@]}" -- ./program
	expect_status 0
	expect_output "from the user's library"
	[[ $output == *libextmem.so:$scratch/own.so ]] || fail_with "expected ours first"
}

# preload_allocator NAME: malloc stays ours, and managed, whoever is preloaded.
preload_allocator() {
	local library

	library=$(ldconfig -p | awk -v name="$1" '$1 ~ "^" name && /x86-64/ { print $NF; exit }')
	[ -n "$library" ] || skip "there is no $1"
	LD_PRELOAD=$library extmem "${limit[@]}" --stats figures -- "$verify" --seconds 1 --threads 2
	expect_all_good
	[ "$(sed 's/.*"pages_evicted": \([0-9]*\).*/\1/' figures)" -gt 1000 ]
}

@test "preload: jemalloc beside ours" {
	need_attach ldconfig
	preload_allocator 'libjemalloc\.so'
}

@test "preload: tcmalloc beside ours" {
	need_attach ldconfig
	preload_allocator 'libtcmalloc_minimal\.so'
}

@test "preload: the library alone, with nothing to manage" {
	need_attach python3
	local library
	library=$("$EXTMEM" run --dry-run -- true | sed -n "s/^export LD_PRELOAD='\\(.*\\)'/\\1/p")
	LD_PRELOAD=$library python3 -c '
import ctypes, os, resource
libc = ctypes.CDLL(None, use_errno=True)
resource.setrlimit(resource.RLIMIT_AS, (1 << 32, resource.RLIM_INFINITY))
page = ctypes.create_string_buffer(3 * 4096)
at = ctypes.addressof(page) + 4095 & ~4095
vector = ctypes.create_string_buffer(8)
assert libc.mincore(ctypes.c_void_p(at), 8192, vector) == 0
assert libc.munlockall() == 0
assert libc.prctl(16, vector, 0, 0, 0) == 0 # PR_GET_NAME
assert os.waitpid(os.fork() or os._exit(0), 0)[1] == 0
print("fine")' >"$scratch/said"
	grep -x fine "$scratch/said"
}

@test "programs built with a sanitizer are refused" {
	need_attach cc
	echo 'int main(void) { return 0; }' >empty.c
	for kind in address:AddressSanitizer thread:ThreadSanitizer leak:LeakSanitizer; do
		cc -fsanitize="${kind%:*}" -o sanitized empty.c 2>/dev/null || continue
		extmem "${limit[@]}" ./sanitized
		expect_status 125
		expect_line "is built with ${kind#*:}"
	done
	cc -fsanitize=undefined -o sanitized empty.c 2>/dev/null || return 0
	extmem "${limit[@]}" ./sanitized
	expect_status 0
}

# ---- core dumps ------------------------------------------------------------

# The program's own view of its table just before it dies is what the core says.
@test "a core dump tells which pages were stored" {
	need_attach python3
	need_root
	saved_pattern=$(cat "$pattern")
	echo "$scratch/core" >"$pattern" || skip "core_pattern cannot be set here"
	status=0
	(ulimit -c unlimited && exec "$EXTMEM" "${limit[@]}" -- python3 -c '
import os, subprocess, sys, time
memory = bytearray(b"x" * (64 << 20))
time.sleep(1) # what is on its way out has left
def dump(name):
    with open(name, "w") as out:
        subprocess.run([sys.argv[1], "dump", "regions", "--json", str(os.getpid())], stdout=out)
dump("live")
os.abort()' "$EXTMEM" 3>&-) 2>stderr || status=$?
	[ "$status" = 134 ]
	core=$(echo "$scratch"/core*)
	stored() { sed 's/.*"stored_pages": \([0-9]*\).*/\1/' "$1" | paste -sd+ | bc; }
	extmem dump regions --json --core "$core"
	expect_status 0
	echo "$output" >dead
	[ "$(stored dead)" -gt 10000 ]
	difference=$(($(stored dead) - $(stored live)))
	[ "${difference#-}" -lt 1000 ]
	[ "$(wc -l <dead)" -ge "$(wc -l <live)" ]
	extmem dump pages --core "$core"
	expect_status 0
	[ "$(awk '$3 == "stored" { n += $2 } END { print n }' <<<"$output")" = "$(stored dead)" ]
	extmem dump pages "$$" --core "$core"
	expect_status 2
}

@test "files that are no core dumps of managed programs are refused" {
	extmem dump pages --core /bin/true
	expect_status 1
	expect_line "is not a core dump"
	extmem dump regions --core /no/such/core
	expect_status 1
	expect_line "No such file"
	: >"$scratch/empty"
	extmem dump pages --core "$scratch/empty"
	expect_status 1
	expect_line "is not a core dump"
}
