# SPDX-License-Identifier: MIT
# extmem run: what it refuses and how, what it hands on, and that the command
# is itself.

load helpers

setup() {
	common_setup
}

teardown() {
	restore_overcommit
	common_teardown
	[ -z "${group:-}" ] || remove_group
}

# refused STATUS TEXT ARGS...: one clear line, and nothing was started.
refused() {
	local want=$1 text=$2

	shift 2
	extmem run --dry-run "$@"
	expect_status "$want"
	expect_line "$text"
	[ -z "$output" ] || fail_with "expected nothing on stdout"
}

# ---- the command -----------------------------------------------------------

@test "a command that is not there is 127" {
	refused 127 "'no-such-command': not found in PATH" no-such-command
	refused 127 "'/no/such': No such file" /no/such
	refused 127 "''" ""
}

@test "a command that may not be run is 126" {
	echo >"$scratch/plain"
	refused 126 "'$scratch/plain': Permission denied" "$scratch/plain"
	refused 126 "'/tmp': Is a directory" /tmp
	PATH=$scratch:$PATH refused 126 "'plain': Permission denied" plain
}

@test "PATH is searched as execvp does: what may not be run is passed over" {
	mkdir "$scratch/a" "$scratch/b"
	echo >"$scratch/a/tool"
	cp /bin/true "$scratch/b/tool"
	PATH=$scratch/a:$scratch/b:$PATH extmem run --dry-run --swap "$scratch" tool
	expect_status 0
}

@test "static programs are refused" {
	make_elf "$scratch/static" 2 62 ""
	refused 125 "statically linked" "$scratch/static"
}

@test "static programs are refused, as a compiler makes them" {
	need_tool gcc
	echo 'int main(void) { return 0; }' >"$scratch/a.c"
	for flags in -static -static-pie; do
		gcc $flags -o "$scratch/a" "$scratch/a.c" 2>/dev/null || skip "no static libc"
		refused 125 "statically linked" "$scratch/a"
	done
}

@test "a static program that a managed one starts runs as it does alone" {
	need_tool gcc
	need_paging
	echo 'int main(void) { return 42; }' >"$scratch/a.c"
	gcc -static -o "$scratch/a" "$scratch/a.c" 2>/dev/null || skip "no static libc"
	extmem run --swap "$scratch" -- sh -c "$scratch/a; echo \$?"
	expect_status 0
	expect_output 42
	[ -z "$stderr" ] || fail_with "expected nothing on stderr"
}

# A C program with the note of Go's linker says how much it has in memory.
make_go() {
	need_tool gcc
	cat >"$scratch/go.c" <<-'END'
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		__asm__(".section .note.go.buildid, \"a\", @note\n"
			".long 4, 4, 4\n.ascii \"Go\\0\\0abcd\"\n.previous");
		int main(void)
		{
			char line[256], *p = malloc(32 << 20);
			long kib = 0;
			memset(p, 1, 32 << 20);
			FILE *f = fopen("/proc/self/status", "r");
			while (fgets(line, sizeof(line), f))
				sscanf(line, "RssAnon: %ld", &kib);
			puts(kib >= 32 << 10 && p[kib] ? "all there" : "paged");
			return 0;
		}
	END
	gcc -O0 -o "$scratch/go" "$scratch/go.c"
}

@test "programs that Go builds are refused" {
	make_go
	refused 125 "is a Go program" "$scratch/go"
}

@test "a Go program that a managed one starts runs as it does alone" {
	make_go
	need_paging
	extmem run --limit 8M --swap "$scratch" -- sh -c "$scratch/go; echo \$?"
	expect_status 0
	expect_output "all there
0"
	[ -z "$stderr" ] || fail_with "expected nothing on stderr"
}

@test "32-bit programs and other processors are refused" {
	make_elf "$scratch/i386" 1 3 /lib/ld-linux.so.2
	refused 125 "32-bit" "$scratch/i386"
	make_elf "$scratch/arm" 2 183 /lib/ld-linux-aarch64.so.1
	refused 125 "another processor" "$scratch/arm"
}

@test "programs of another libc are refused" {
	make_elf "$scratch/musl" 2 62 /lib/ld-musl-x86_64.so.1
	refused 125 "linked to musl" "$scratch/musl"
	make_elf "$scratch/bionic" 2 62 /system/bin/linker64
	refused 125 "'/system/bin/linker64'" "$scratch/bionic"
}

@test "damaged ELF files are refused" {
	printf '\177ELF\002\001\001' >"$scratch/cut"
	chmod 755 "$scratch/cut"
	refused 125 "damaged ELF" "$scratch/cut"
}

@test "set-user-ID, set-group-ID and file capabilities are refused" {
	need_root
	cp /bin/true "$scratch/setuid"
	chown 12345 "$scratch/setuid"
	chmod 4755 "$scratch/setuid"
	refused 125 "is set-user-ID" "$scratch/setuid"
	cp /bin/true "$scratch/setgid"
	chgrp 12345 "$scratch/setgid"
	chmod 2755 "$scratch/setgid"
	refused 125 "is set-group-ID" "$scratch/setgid"
	command -v setcap >/dev/null || return 0
	cp /bin/true "$scratch/caps"
	setcap cap_net_raw+ep "$scratch/caps"
	extmem_as_nobody run --dry-run "$scratch/caps"
	expect_status 125
	expect_line "has file capabilities"
}

@test "the owner may run a set-user-ID program: nothing changes for it" {
	cp /bin/true "$scratch/mine"
	chmod 4755 "$scratch/mine"
	extmem run --dry-run --swap "$scratch" "$scratch/mine"
	expect_status 0
}

@test "a script's interpreter is what counts" {
	make_elf "$scratch/static" 2 62 ""
	printf '#! %s -x\n' "$scratch/static" >"$scratch/one"
	printf '#!%s\n' "$scratch/one" >"$scratch/two"
	printf '#!/usr/bin/env -S A=b static -u\n' >"$scratch/env"
	printf '#!/bin/sh\n' >"$scratch/fine"
	printf 'echo no interpreter\n' >"$scratch/bare"
	printf '#!/no/such/shell\n' >"$scratch/lost"
	chmod 755 "$scratch"/*
	for script in one two; do
		refused 125 "'$scratch/static' is statically linked" "$scratch/$script"
	done
	PATH=$scratch:$PATH refused 125 "static' is statically linked" "$scratch/env"
	refused 127 "its interpreter '/no/such/shell'" "$scratch/lost"
	for script in fine bare; do
		extmem run --dry-run --swap "$scratch" "$scratch/$script"
		expect_status 0
	done
}

@test "scripts of scripts end after five levels" {
	printf '#!%s\n' "$scratch/loop" >"$scratch/loop"
	chmod 755 "$scratch/loop"
	refused 125 "script of a script" "$scratch/loop"
}

@test "valgrind is refused" {
	cp /bin/true "$scratch/valgrind"
	refused 125 "without extmem" "$scratch/valgrind" true
}

# ---- the machine -----------------------------------------------------------

@test "a swap path must be a folder on a disk that one may write to" {
	refused 125 "'/no/such'" --swap /no/such true
	refused 125 "not a directory" --swap /etc/passwd true
	for ram in /dev/shm /run; do
		[ "$(stat -f -c %T $ram)" = tmpfs ] || continue
		refused 125 "is on tmpfs" --swap $ram true
	done
	[ "$(id -u)" = 0 ] || return 0
	extmem_as_nobody run --dry-run --swap /root true
	expect_status 125
	expect_line "swap path '/root'"
}

@test "a limit that is too small to run is refused" {
	refused 125 "8M" --limit 4M true
	refused 125 "8M" --limit 1 true
	extmem run --dry-run --swap "$scratch" --limit 8M true
	expect_status 0
}

# The limit of a program that is run with this one, in bytes.
limit_of() {
	extmem run --swap "$scratch" --stats "$scratch/stats.json" --limit "$1" true
	expect_status 0
	grep -o '"limit_bytes": [0-9]*' "$scratch/stats.json" | cut -d ' ' -f 2
}

@test "limits: bytes, percent and auto become bytes" {
	extmem run --dry-run --swap "$scratch" --limit 1.5G true
	expect_output "limits.memory=1536M"
	[ "$(limit_of 1.5G)" = $((1536 << 20)) ]
	physical=$(($(getconf _PHYS_PAGES) * 4096))
	for limit in 50% auto; do
		bytes=$(limit_of $limit)
		[ "$bytes" -gt 0 ]
		[ "$bytes" -lt "$physical" ]
	done
	# It goes on as it was given, with what it comes to now.
	extmem run --dry-run --swap "$scratch" --limit auto true
	expect_output "limits.memory=auto"
	expect_output "export EXTMEM_LIMIT="
	# Without that each program looks itself.
	EXTMEM_LIMIT=junk LD_PRELOAD=$(sed -n "s/^export LD_PRELOAD='\(.*\)'/\1/p" <<<"$output") \
		EXTMEM_STATS=$scratch/alone.json \
		EXTMEM_CONFIG=$'limits.memory=50%\ntiers[0].path='"$scratch" "$(type -P true)"
	half=$(limit_of 50%)
	grep -F "\"limit_bytes\": $half," "$scratch/alone.json"
	extmem run --verbose --swap "$scratch" --limit 12M true
	[[ $stderr == *"limit 12.0M"* ]]
}

# A control group of 1 GB, $group, with one below it; what holds the limit is $file.
make_group() {
	need_root
	if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
		group=/sys/fs/cgroup/extmem-cli-$$
		file=$group/memory.max
	else
		group=/sys/fs/cgroup/memory/extmem-cli-$$
		file=$group/memory.limit_in_bytes
	fi
	mkdir "$group" 2>/dev/null || skip "no control groups to be made here"
	if ! echo 1G >"$file" 2>/dev/null; then
		rmdir "$group"
		skip "no memory controller here"
	fi
	mkdir "$group/below"
}

# Once those in it have ended; where none could be made, at once.
remove_group() {
	for folder in "$group/below" "$group"; do
		for _ in $(seq 100); do
			rmdir "$folder" 2>/dev/null || true
			[ -e "$folder" ] || break
			sleep 0.1
		done
	done
	[ ! -e "$group" ]
}

@test "limits: a control group's limit counts" {
	make_group
	for limit in auto 25%; do
		(echo "$BASHPID" >"$group/below/cgroup.procs"
		exec "$EXTMEM" run --stats "$scratch/$limit" --swap "$scratch" --limit $limit true 3>&-)
	done
	# 90% of 1G, and a quarter of it, in whole pages.
	grep -F "\"limit_bytes\": $((943716 << 10))," "$scratch/auto"
	grep -F "\"limit_bytes\": $((256 << 20))," "$scratch/25%"
}

expect_word() {
	for _ in $(seq 300); do
		grep -qx "$1" "$scratch/out" && return
		sleep 0.1
	done
	fail_with "expected '$1' in $(cat "$scratch/out")"
}

@test "limits: auto follows the control group while the program runs" {
	need_tool perl
	make_group
	echo 160M >"$file"
	(echo "$BASHPID" >"$group/below/cgroup.procs"
	exec "$EXTMEM" run --limit auto --swap "$scratch" -- perl -e '
		$| = 1; alarm 120; my @a = map { "x" x 1000000 } 1 .. 200; print "ready\n";
		$SIG{USR1} = sub { my $n = 0; $n += length for @a; print "sum $n\n"; exit };
		# All threads are killed by openat(2) from now on, and only by that.
		$SIG{USR2} = sub {
			my $code = pack "SCCL" x 4, 0x20, 0, 0, 0, 0x15, 0, 1, 257, 6, 0, 0, 0x80000000, 6, 0, 0, 0x7fff0000;
			syscall 157, 38, 1, 0, 0, 0;
			print syscall(317, 1, 1, pack "Sx6P", 4, $code) ? "open\n" : "locked in\n";
		};
		while (1) { substr($_, 1000 * (rand 900), 1) = "y" for @a; select undef, undef, undef, 0.01 }
	' >"$scratch/out" 2>"$scratch/err" 3>&-) &
	pid=$!
	own "$pid"
	expect_word ready
	expect_limit $((144 << 20))
	echo 400M >"$file"
	expect_limit $((360 << 20))
	sleep 1
	echo 300M >"$file"
	expect_limit $((270 << 20))
	extmem policy show "$pid"
	expect_output "memory: auto"
	# A limit in bytes stays what it is; a share is of the group's.
	extmem policy apply "$pid" --set limits.memory=280M
	expect_status 0
	expect_limit $((280 << 20))
	extmem policy apply "$pid" --set limits.memory=50%
	expect_limit $((150 << 20))
	# Locked in, it cannot look any more: it keeps what it has, but for a size.
	kill -USR2 "$pid"
	expect_word "locked in"
	echo 400M >"$file"
	extmem policy apply "$pid" --set limits.memory=75%
	expect_status 0
	sleep 3
	expect_limit $((150 << 20))
	extmem policy apply "$pid" --set limits.memory=256M
	expect_limit $((256 << 20))
	kill -USR1 "$pid"
	wait "$pid"
	grep -qx "sum 200000000" "$scratch/out"
	[ ! -s "$scratch/err" ]
}

@test "limits: large buffers are cut by what a share comes to, and appended whole" {
	need_tool perl
	for limit in 1G 5% auto; do
		extmem run --limit $limit --swap "$scratch" -- perl -e '
			sub calls { open my $f, "<", "/proc/self/io" or exit 77; (join "", <$f>) =~ /syscw: (\d+)/; $1 }
			my $x = "x" x (8 << 20);
			for my $mode (">", ">>") {
				open my $f, $mode, shift or die;
				my $before = calls; (syswrite $f, $x) == 8 << 20 or die; print calls() - $before, "\n"
			}' "$scratch/written" "$scratch/appended"
		[ "$status" != 77 ] || skip "no /proc/self/io"
		expect_status 0
		read -r -d '' written appended <<<"$output" || true
		((written > 1 && written < 16 && appended == 1)) || fail_with "in so many calls"
		cmp "$scratch/written" "$scratch/appended"
		rm "$scratch/written" "$scratch/appended"
	done
}

@test "limits: kept under each algorithm while a call fills a large buffer" {
	extmem policy list
	mapfile -t algorithms < <(awk 'NR > 1 { print $2 }' <<<"$output" | sort -u)
	[ ${#algorithms[@]} = 12 ]
	for settings in "${algorithms[@]/#/algorithm=}" "algorithm=mru --set eviction.params.fresh=0"; do
		# shellcheck disable=SC2086 # several settings are several words
		extmem run --limit 24M --swap "$scratch" --stats "$scratch/stats" --set eviction.$settings -- \
			dd if=/dev/zero of=/dev/null bs=70M count=1 iflag=fullblock status=none
		expect_status 0
		[ -z "$stderr" ] || fail_with "under $settings"
		grep -qF '"over_limit_events": 0,' "$scratch/stats"
		grep -qF '"limit_bytes": 25165824,' "$scratch/stats"
	done
}

@test "limits: one that follows stops above the buffers, and all else can change then" {
	need_tool perl
	make_group
	echo 2G >"$file"
	(echo "$BASHPID" >"$group/below/cgroup.procs"
	exec "$EXTMEM" run --limit 5% --swap "$scratch" -- perl -e '
		$| = 1; alarm 120; my @a = map { "x" x 1000000 } 1 .. 200; print "ready\n";
		while (1) { substr($_, 1000 * (rand 900), 1) = "y" for @a; select undef, undef, undef, 0.01 }
	' >"$scratch/out" 2>"$scratch/err" 3>&-) &
	pid=$!
	own "$pid"
	expect_word ready
	extmem policy apply "$pid" --set limits.memory=0.5%
	expect_status 1
	expect_line "since buffers made at the start hold"
	least=$(sed -n 's/.*at least \([0-9]*\) MiB.*/\1/p' <<<"$stderr")
	[ "$least" -gt 15 ] # or 5% of what follows is above it
	echo 300M >"$file"
	expect_limit $((least << 20))
	extmem policy apply "$pid" --set eviction.algorithm=fifo
	expect_status 0
	expect_limit $((least << 20))
	extmem policy apply "$pid" --set limits.memory=4%
	expect_status 1
	expect_line "since buffers made at the start hold"
}

@test "the library must be there, and have a path that LD_PRELOAD can hold" {
	EXTMEM_LIBRARY=/no/such.so refused 125 "cannot read the library '/no/such.so'" true
	mkdir "$scratch/a b"
	cp /bin/true "$scratch/a b/lib.so"
	EXTMEM_LIBRARY="$scratch/a b/lib.so" refused 125 "space or colon" true
	cp /bin/true "$scratch/a:b.so"
	EXTMEM_LIBRARY="$scratch/a:b.so" refused 125 "space or colon" true
}

@test "an address space too small for anything: one line with the way out" {
	status=0
	output=$(ulimit -v 40000 && "$EXTMEM" run --dry-run --swap "$scratch" true \
		2>"$scratch/stderr") || status=$?
	stderr=$(cat "$scratch/stderr")
	expect_status 125
	expect_line "the address space is limited to 39.1M (ulimit -v)"
	[[ $stderr == *"ulimit -v unlimited"* ]]
	status=0
	output=$(ulimit -d 40000 && "$EXTMEM" run --dry-run --swap "$scratch" true \
		2>"$scratch/stderr") || status=$?
	stderr=$(cat "$scratch/stderr")
	expect_status 125
	expect_line "the data segment is limited to 39.1M (ulimit -d)"
}

# rationed PYTHON: fits natively into the addresses that it is given, and what
# does not is told so as natively; under extmem as well.
rationed() {
	local run

	for run in '' "$EXTMEM run --limit 32M --swap $scratch --"; do
		(ulimit "$1" 400000 && $run python3 -c '
import sys
pieces = [bytearray(1 << 20) for i in range(200)]
for i, piece in enumerate(pieces):
    piece[i] = 1
try:
    while True:
        pieces.append(bytearray(1 << 20))
except MemoryError:
    del pieces[200:]
assert all(sum(piece) == 1 for piece in pieces)
print("as it should be")') >"$scratch/said" 2>"$scratch/stderr" 3>&-
		[ "$(cat "$scratch/said")" = "as it should be" ]
		[ ! -s "$scratch/stderr" ]
	done
}

# Large blocks of all sizes that come and go: what the tables of pages take must
# go by what there is at one time, not by all that there ever was.
@test "a heap that is made and freed for long uses no new addresses" {
	need_paging
	need_tool python3
	cat >"$scratch/churn.py" <<-'END'
		import ctypes, random
		libc = ctypes.CDLL(None)
		libc.malloc.restype = ctypes.c_void_p
		libc.malloc.argtypes = libc.free.argtypes = [ctypes.c_void_p]
		def tables():
		    for line in open("/proc/self/status"):
		        if line.startswith("RssShmem"):
		            return int(line.split()[1])
		live = []
		random.seed(1)
		for i in range(700):
		    if len(live) == 8:
		        libc.free(live.pop(random.randrange(8)))
		        libc.malloc_trim(0)
		    size = random.randrange(1 << 20, 30 << 20)
		    block = libc.malloc(size)
		    for at in range(0, size, 1 << 18):
		        ctypes.memset(block + at, 1, 1)
		    live.append(block)
		    if i == 100:
		        before = tables()
		print(tables() - before)
	END
	"$EXTMEM" run --limit 64M --swap "$scratch" -- python3 "$scratch/churn.py" >"$scratch/grown" 3>&-
	[ "$(cat "$scratch/grown")" -lt 1024 ] || { echo "grown by $(cat "$scratch/grown") KiB"; false; }
}

@test "a program under 'ulimit -v' is managed, and runs out where it should" {
	need_paging
	need_tool python3
	rationed -v
}

@test "and so is one under 'ulimit -d'" {
	need_paging
	need_tool python3
	rationed -d
}

@test "sort and xz under 'ulimit -v'" {
	need_paging
	seq 400000 | shuf --random-source=<(yes) >"$scratch/numbers"
	(ulimit -v 2000000
	"$EXTMEM" run --limit 32M --swap "$scratch" -- sort -n "$scratch/numbers" 3>&- |
		cmp - <(seq 400000)
	"$EXTMEM" run --limit 32M --swap "$scratch" -- xz -9 -k "$scratch/numbers" 3>&-)
	xz -dc "$scratch/numbers.xz" | cmp - "$scratch/numbers"
}

# Many processes at once must not each ask for more than they will ever use.
@test "a kernel that promises no more memory than there is" {
	need_paging
	need_root
	need_tool python3
	local vm=/proc/sys/vm
	[ -w $vm/overcommit_memory ] || skip "overcommit cannot be changed here"
	saved_overcommit=$(cat $vm/overcommit_memory) saved_ratio=$(cat $vm/overcommit_ratio)
	echo 1000 >$vm/overcommit_ratio # others on the machine shall not notice
	echo 2 >$vm/overcommit_memory
	extmem run --limit 32M --swap "$scratch" -- python3 -c '
def committed():
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    return int(lines["VmData"].split()[0])
assert committed() < 150000, committed()
pieces = [bytearray(b"x" * (1 << 20)) for i in range(100)]
assert all(piece.count(b"x") == 1 << 20 for piece in pieces)
print("fine")'
	restore_overcommit
	expect_status 0
	expect_output fine
}

restore_overcommit() {
	[ -z "${saved_overcommit:-}" ] || echo "$saved_overcommit" >/proc/sys/vm/overcommit_memory
	[ -z "${saved_ratio:-}" ] || echo "$saved_ratio" >/proc/sys/vm/overcommit_ratio
	saved_overcommit='' saved_ratio=''
}

@test "memory at addresses of the program's own is not paged, and one line says so" {
	local map='
import ctypes, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
for i in range(3):
    at = int(sys.argv[2], 0) * (i + 1)
    got = libc.mmap(ctypes.c_void_p(at), ctypes.c_size_t(20 << 20), 3,
                    0x22 | int(sys.argv[1], 0), -1, ctypes.c_long(0))
    assert got and got == (at or got)'
	local run='extmem run --limit 32M --swap' said="left to the kernel and not paged"

	$run "$scratch" -- python3 -c "$map" 0 0
	[ ! -s "$scratch/stderr" ]
	$run "$scratch" -- python3 -c "$map" 0x40 0 # MAP_32BIT
	[ "$(grep -c "$said" "$scratch/stderr")" -eq 1 ]
	$run "$scratch" -- python3 -c "$map" 0x10 0x100000000000 # MAP_FIXED
	[ "$(grep -c "$said" "$scratch/stderr")" -eq 1 ]
}

@test "a program's io_uring is answered as not permitted, in one line" {
	need_paging
	need_tool perl
	extmem run --limit 64M --swap "$scratch" -- \
		perl -e '$p = "\0" x 120; exit(syscall(425, 8, $p) == -1 && $!{EPERM} ? 5 : 6)'
	expect_status 5
	expect_line "io_uring is answered as not permitted"
}

# A program with a ring, made by liburing's function $1 and linked as $2 says.
ring_program() {
	cat >"$scratch/ring.c" <<-END
	#include <liburing.h>
	int main(void)
	{
		struct io_uring ring;
		struct io_uring_params p = { 0 };
		int ret = $1;
		(void)ring, (void)p;
		return ret == -1 ? 5 : ret < 0 ? 6 : 0;
	}
	END
	gcc -o "$scratch/ring" "$scratch/ring.c" $2 2>"$scratch/errors" ||
		skip "no liburing to link with"
}

@test "a ring of liburing's is answered as not permitted, in one line" {
	need_paging
	need_tool gcc
	for way in 'io_uring_queue_init(8, &ring, 0)' 'io_uring_queue_init_params(8, &ring, &p)'; do
		ring_program "$way" -luring
		extmem run --limit 64M --swap "$scratch" -- "$scratch/ring"
		expect_status 5
		expect_line "io_uring is answered as not permitted"
	done
	# It is not always there that the call is made.
	ring_program 'io_uring_queue_init(8, &ring, 0)' '-Wl,-Bstatic -luring -Wl,-Bdynamic'
	extmem run --limit 64M --swap "$scratch" -- "$scratch/ring"
	expect_status 5
}

@test "a copy out of another managed process that fails: one line" {
	need_paging
	need_tool gcc
	cat >"$scratch/copy.c" <<-'END'
	#define _GNU_SOURCE
	#include <errno.h>
	#include <sys/mman.h>
	#include <sys/uio.h>
	#include <sys/wait.h>
	#include <unistd.h>
	int main(void)
	{
		char byte, *p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		struct iovec to = { &byte, 1 }, from = { p + 4096, 1 };
		int status;
		if (fork() == 0)
			_exit(process_vm_readv(getppid(), &to, 1, &from, 1, 0) == 1 ? 0 :
			      errno == EFAULT ? 5 : errno == EPERM ? 7 : 6);
		wait(&status);
		return WEXITSTATUS(status);
	}
	END
	gcc -o "$scratch/copy" "$scratch/copy.c"
	"$scratch/copy" || skip "a child may not read its parent here"
	extmem run --limit 64M --swap "$scratch" -- "$scratch/copy"
	expect_status 5
	expect_line "do not reach memory of another managed process"
}

@test "a ring of liburing's works where faults are delivered to a thread" {
	need_paging
	need_root
	need_tool gcc
	ring_program 'io_uring_queue_init(8, &ring, 0)' -luring
	"$scratch/ring" || skip "there is no io_uring here"
	extmem run --limit 64M --swap "$scratch" --set faults.delivery=thread -- "$scratch/ring"
	expect_status 0
	[ -z "$stderr" ]
}

# kept NUMBER TEXT: a system call by which the kernel keeps a managed address.
kept() {
	extmem run --limit 64M --swap "$scratch" -- \
		perl -e '$p = "\0" x 4000000; syscall($ARGV[0], $p, 24); exit 5' "$1"
	expect_status 5
	expect_line "$2"
}

@test "addresses that the kernel keeps: one line" {
	need_paging
	need_tool perl
	kept 218 "set_tid_address(2) with managed memory"
	kept 273 "set_robust_list(2) with managed memory"
	kept 334 "rseq(2) in managed memory is answered as not there"
}

@test "strict seccomp is answered as not there, in one line" {
	need_paging
	need_tool perl
	extmem run --limit 64M --swap "$scratch" -- \
		perl -e 'exit(syscall(157, 22, 1, 0, 0, 0) == -1 && $!{EINVAL} ? 5 : 6)'
	expect_status 5
	expect_line "strict mode of seccomp"
}

@test "a program that forbids itself to open files leaves its figures" {
	need_paging
	need_tool gcc
	cat >"$scratch/shut.c" <<-'END'
	#include <linux/filter.h>
	#include <linux/seccomp.h>
	#include <stddef.h>
	#include <stdlib.h>
	#include <string.h>
	#include <sys/prctl.h>
	#include <sys/syscall.h>
	int main(void)
	{
		struct sock_filter code[] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		};
		struct sock_fprog prog = { 4, code };
		volatile char *data = malloc(48 << 20);

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
			return 99;
		memset((char *)data, 7, 48 << 20);
		return data[40 << 20] == 7 ? 3 : 4;
	}
	END
	gcc -o "$scratch/shut" "$scratch/shut.c"
	for name in figures 'figures.%p'; do
		extmem run --limit 16M --swap "$scratch" --stats "$scratch/$name" -- "$scratch/shut"
		expect_status 3
		[ -z "$stderr" ]
	done
	for file in "$scratch/figures" "$scratch"/figures.*; do
		grep -q '"command": "shut".*"limit_bytes": 16777216' "$file"
	done
}

@test "a kernel or container without userfaultfd: one line with the way out" {
	need_tool gcc
	cat >"$scratch/deny.c" <<-'END'
	#include <errno.h>
	#include <linux/filter.h>
	#include <linux/seccomp.h>
	#include <stdlib.h>
	#include <stddef.h>
	#include <sys/prctl.h>
	#include <sys/syscall.h>
	#include <unistd.h>
	int main(int argc, char **argv)
	{
		struct sock_filter code[] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | atoi(argv[1])),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		};
		struct sock_fprog prog = { 4, code };
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
			return 99;
		execv(argv[2], argv + 2);
		return 98;
	}
	END
	gcc -o "$scratch/deny" "$scratch/deny.c"
	for try in "1:seccomp profile" "38:CONFIG_USERFAULTFD"; do
		status=0
		output=$("$scratch/deny" "${try%%:*}" "$EXTMEM" run --dry-run \
			--swap "$scratch" true 2>"$scratch/stderr" 3>&-) || status=$?
		stderr=$(cat "$scratch/stderr")
		expect_status 125
		expect_line "${try#*:}"
	done
	# Found out later, by a program that a managed one starts.
	need_paging
	for try in "1:not permitted" "38:qemu-user"; do
		extmem run --limit 64M --swap "$scratch" -- "$scratch/deny" "${try%%:*}" /bin/true
		expect_status 0
		expect_line "cannot start: a system call that paging needs is not"
		expect_line "${try#*:}"
	done
}

@test "thread delivery is refused without the privilege, with the ways out" {
	need_root
	[ "$(cat /proc/sys/vm/unprivileged_userfaultfd)" = 0 ] || skip "everybody may here"
	extmem_as_nobody run --dry-run --swap /tmp --set faults.delivery=thread true
	expect_status 125
	for way in root CAP_SYS_PTRACE /dev/userfaultfd unprivileged_userfaultfd "'signal'"; do
		expect_line "$way"
	done
}

@test "thread delivery refuses to copy pages out, unless nothing else is there" {
	need_root
	need_tool gcc
	local threads=(--swap "$scratch" --set faults.delivery=thread)

	extmem run --dry-run "${threads[@]}" --set eviction.way_out=copy true
	expect_status 125
	expect_line "'copy' can lose what a device writes"
	extmem run --dry-run "${threads[@]}" true
	expect_status 0
	[ -z "$stderr" ]

	# A kernel without UFFDIO_MOVE.
	cat >"$scratch/old.c" <<-'END'
	#include <dlfcn.h>
	#include <stdarg.h>
	#include <stdint.h>
	#include <sys/ioctl.h>
	#include <linux/userfaultfd.h>
	int ioctl(int fd, unsigned long request, ...)
	{
		int (*real)(int, unsigned long, ...) = dlsym((void *)-1L, "ioctl");
		va_list args;
		va_start(args, request);
		void *arg = va_arg(args, void *);
		va_end(args);
		int ret = real(fd, request, arg);
		if (request == UFFDIO_API)
			((struct uffdio_api *)arg)->features &= ~(1ull << 16);
		return ret;
	}
	END
	gcc -shared -fPIC -o "$scratch/old.so" "$scratch/old.c"
	for way in copy auto; do
		LD_PRELOAD=$scratch/old.so extmem run --dry-run "${threads[@]}" \
			--set eviction.way_out=$way true
		expect_status 0
		expect_line "warning: this kernel has no UFFDIO_MOVE"
	done
}

@test "thread delivery leaves the program's signals alone, and stat says it" {
	need_root
	extmem run --swap "$scratch" --set faults.delivery=thread --stats "$scratch/s.json" \
		-- grep SigCgt /proc/self/status
	expect_status 0
	# SIGBUS is signal 7, SIGSYS 31.
	caught=${output##*[[:space:]]}
	[ $((0x$caught & 1 << 6)) = 0 ]
	[ $((0x$caught & 1 << 30)) = 0 ]
	grep -q '"delivery": *"thread"' "$scratch/s.json"
	grep -q '"syscall_net": *"off"' "$scratch/s.json"
}

# ---- the policy ------------------------------------------------------------

@test "options win over the file, and --set over options" {
	cat >"$scratch/p.yaml" <<-END
	version: 1
	limits: {memory: 64M}
	eviction: {algorithm: fifo}
	tiers: [{type: file, path: /no/such}]
	END
	extmem run --dry-run --policy "$scratch/p.yaml" --limit 128M --swap "$scratch" \
		--set eviction.algorithm=clock --set limits.memory=256M true
	expect_status 0
	expect_output "limits.memory=256M"
	expect_output "eviction.algorithm=clock"
	expect_output "tiers[0].path=$scratch"
}

@test "bad options and settings are refused with 125" {
	refused 125 "--limit" --limit lots true
	refused 125 "KEY=VALUE" --set nonsense true
	refused 125 "--set" --set no.such.key=1 true
	refused 125 "--set" --set eviction.algorithm=best true
	refused 125 "no policy named 'lrux'" --policy lrux true
	refused 125 "did you mean 'lru'" --policy lrux true
	refused 125 "no-such.yaml" --policy no-such.yaml true
	refused 125 "watermarks" --set watermarks.low=10% --set watermarks.high=5% true
	extmem run
	expect_status 125
	extmem run --no-such-option true
	expect_status 125
}

@test "a file without a slash or .yaml is told how to be one" {
	cd "$scratch"
	echo "version: 1" >mine
	refused 125 "write './mine'" --policy mine true
}

@test "installed policies are found by name" {
	for file in "$SOURCE"/share/policies/*.yaml; do
		name=$(basename "$file" .yaml)
		extmem run --dry-run --swap "$scratch" --policy "$name" true
		expect_status 0
	done
}

# ---- what is handed on -----------------------------------------------------

@test "--dry-run prints shell commands, and runs nothing" {
	extmem run --dry-run --swap "$scratch" -- touch "$scratch/it's" '$HOME' --x
	expect_status 0
	[ ! -e "$scratch/it's" ]
	[[ ${output##*$'\n'} == "exec 'touch' '$scratch/it'\\''s' '\$HOME' '--x'" ]]
	sh -n <<<"$output"
	extmem run --dry-run --swap "$scratch" --stats "$scratch/s.json" true
	[ ! -e "$scratch/s.json" ]
	expect_output "export EXTMEM_STATS='$scratch/s.json'"
}

@test "LD_PRELOAD keeps what was there, and the library is in it once" {
	library=$(extmem run --dry-run --swap "$scratch" true &&
		sed -n "s/^export LD_PRELOAD='\(.*\)'/\1/p" <<<"$output")
	preload_of() {
		LD_PRELOAD=$1 extmem run --dry-run --swap "$scratch" true
		sed -n "s/^export LD_PRELOAD='\(.*\)'/\1/p" <<<"$output"
	}
	libm=$(ldconfig -p | awk '/libm\.so\.6 .*x86-64/ { print $NF; exit }')
	[ -n "$library" ]
	[ "$(preload_of "$libm")" = "$library:$libm" ]
	[ "$(preload_of "$libm:$library")" = "$library:$libm" ]
	[ "$(preload_of "/old/libextmem.so.0  $libm")" = "$library:$libm" ]
}

@test "an inner run replaces the settings of an outer one" {
	export EXTMEM_CONFIG="limits.memory=1G" EXTMEM_STATS=/outer.json
	extmem run --dry-run --swap "$scratch" --limit 32M true
	expect_status 0
	expect_output "limits.memory=32M"
	expect_output "unset EXTMEM_STATS"
}

@test "relative paths become absolute" {
	cd "$scratch"
	extmem run --dry-run --swap . --stats s.json true
	expect_status 0
	expect_output "tiers[0].path=$scratch"
	expect_output "EXTMEM_STATS='$scratch/s.json'"
}

@test "--stats of what cannot be written is refused before the start" {
	refused 125 "'/no/such/s.json'" --swap "$scratch" --stats /no/such/s.json true
	refused 125 "Is a directory" --swap "$scratch" --stats "$scratch" true
	refused 125 "Is a directory" --swap "$scratch" --stats "$scratch/" true
	refused 125 "''" --swap "$scratch" --stats "" true
}

@test "--verbose says what will be done, on stderr" {
	extmem run --dry-run --verbose --swap "$scratch" --limit 64M true
	expect_status 0
	[[ $stderr == *"limit 64.0M, algorithm lru, prefetch stride (policy built in)"* ]]
	[[ $stderr == *"tier 0: file $scratch"* ]]
}

# ---- the command is itself -------------------------------------------------

@test "exit statuses pass through" {
	need_paging
	for code in 0 1 2 77 125 126 127 255; do
		extmem run --swap "$scratch" -- sh -c "exit $code"
		expect_status $code
	done
	extmem run --swap "$scratch" true
	expect_status 0
	extmem run --swap "$scratch" false
	expect_status 1
	[ -z "$stderr" ]
}

@test "signals pass through" {
	need_paging
	for signal in TERM INT SEGV BUS ABRT; do
		status=0
		# What a background job of a shell ignores is ignored here, too.
		env --default-signal=$signal "$EXTMEM" run --swap "$scratch" -- perl -e "kill $signal => \$\$; sleep 5" \
			>"$scratch/out" 2>&1 3>&- || status=$?
		[ "$status" = $((128 + $(kill -l $signal))) ]
	done
}

@test "the process id stays" {
	need_paging
	"$EXTMEM" run --swap "$scratch" -- sh -c 'echo $$; sleep 1000 & wait' \
		>"$scratch/pid" 3>&- &
	pid=$!
	own "$pid"
	for _ in $(seq 200); do
		[ -s "$scratch/pid" ] && break
		sleep 0.05
	done
	[ "$(cat "$scratch/pid")" = "$pid" ]
	extmem stat "$pid"
	expect_status 0
	expect_output "process $pid: sh"
	pkill -KILL -P "$pid"
}

@test "output is what it is without extmem, below a limit" {
	need_paging
	seq 2000000 | sort -R --random-source=/bin/true >"$scratch/in"
	sort "$scratch/in" >"$scratch/alone"
	"$EXTMEM" run --limit 32M --swap "$scratch" --stats "$scratch/s.json" -- \
		sort -S 500M "$scratch/in" >"$scratch/under" 3>&-
	cmp "$scratch/alone" "$scratch/under"
	# Nothing is kept but what was asked for.
	[ "$(ls "$scratch" | sort | tr '\n' ' ')" = "alone in s.json stderr under " ]
	grep -q '"command": "sort"' "$scratch/s.json"
	[ "$(sed 's/.*"bytes_written": \([0-9]*\).*/\1/' "$scratch/s.json")" -gt 0 ]
	peak=$(sed 's/.*"peak_resident_bytes": \([0-9]*\).*/\1/' "$scratch/s.json")
	[ "$peak" -le $((32 << 20)) ]
}

@test "a program forks while most of its memory is on disk" {
	need_paging
	status=0
	timeout -s KILL 60 "$EXTMEM" run --limit 16M --swap "$scratch" -- perl -e '
		my @a = map { $_ x 1000 } 1 .. 12000;
		my $sum = sub { my $n = 0; $n += unpack("%32C*", $_) for @a; $n };
		my $before = $sum->();
		for (1 .. 3) {
			my $child = fork // die;
			exit($sum->() == $before ? 7 : 1) if !$child;
			exit 2 if $sum->() != $before;
			waitpid($child, 0);
			exit 3 if $? >> 8 != 7;
		}
	' 2>"$scratch/stderr" 3>&- || status=$?
	stderr=$(cat "$scratch/stderr")
	expect_status 0
	[ -z "$stderr" ]
}

@test "it works from any folder, and for a user without privilege" {
	need_paging
	need_root
	mkdir "$scratch/open"
	chmod 1777 "$scratch/open"
	extmem_as_nobody run --limit 16M --swap "$scratch/open" -- \
		perl -e 'my $x = "y" x 40_000_000; print length $x'
	[[ $stderr != *"cannot run"* ]] || skip "the build tree is not readable for others"
	expect_status 0
	[ "$output" = 40000000 ]
	[ -z "$(ls "$scratch/open")" ]
}

@test "what a call leaves in registers that it does not use traps nothing" {
	need_paging
	perl -e 'srand 1; print join("", map { chr(97 + rand 26) } 1 .. 40), "\n" for 1 .. 20000' \
		>"$scratch/lines"
	extmem run --swap "$scratch" --stats "$scratch/s.json" -- \
		sort -o "$scratch/sorted" "$scratch/lines"
	expect_status 0
	traps=$(sed -n 's/.*"syscall_traps": *\([0-9]*\).*/\1/p' "$scratch/s.json")
	[ "$traps" -lt 20 ] || fail_with "$traps traps for some 200 writes of stdio"
}

@test "with %p in --stats every process of the tree leaves its figures" {
	need_paging
	extmem run --swap "$scratch" --stats "$scratch/s.%p.json" -- \
		/bin/bash -c '/bin/true; (exit 0) & wait; echo $$; exec /bin/true'
	expect_status 0
	# true, a forked bash that ends by itself, and what the first bash became.
	[ "$(cat "$scratch"/s.*.json | wc -l)" -eq 3 ]
	grep -q '"command": "true"' "$scratch/s.$output.json"
	[ "$(grep -l '"command": "bash"' "$scratch"/s.*.json | wc -l)" -eq 1 ]
}

@test "the net is there, and once only however many programs follow" {
	need_paging
	extmem run --swap "$scratch" --stats "$scratch/s.json" -- \
		sh -c 'exec sh -c "exec grep Seccomp_filters /proc/self/status"'
	expect_status 0
	[ "$(tr -d '[:space:]' <<<"$output")" = "Seccomp_filters:1" ] || fail_with "$output"
	grep -q '"syscall_net": "on"' "$scratch/s.json"
}

@test "--trace records what the process becomes, and no other of its tree" {
	need_paging
	extmem run --swap "$scratch" --trace "$scratch/t" -- \
		/bin/bash -c 'a=({1..30000}); /bin/true; (exit 0) & wait; exec /bin/true'
	expect_status 0
	[ "$(head -c 8 "$scratch/t")" = EMTRACE ]
	[ "$(grep -ac EMTRACE "$scratch/t")" -eq 2 ]
	[ "$(grep -ac EMBLOCK "$scratch/t")" -ge 1 ]
	extmem run --swap "$scratch" --trace "$scratch/t" -- /bin/true
	expect_status 0
	[ "$(grep -ac EMTRACE "$scratch/t")" -eq 1 ]
}

@test "with %p in --trace every process of the tree has a file" {
	need_paging
	echo stale >"$scratch/t.$$"
	extmem run --swap "$scratch" --trace "$scratch/t.%p" -- \
		/bin/bash -c '/bin/true; (exit 0) & wait; echo $$; exec /bin/true'
	expect_status 0
	rm "$scratch/t.$$"
	[ "$(grep -al EMTRACE "$scratch"/t.* | wc -l)" -eq 3 ]
	[ "$(grep -ac EMTRACE "$scratch/t.$output")" -eq 2 ]
}

@test "a trace that cannot be written is refused, or ends" {
	need_paging
	refused 125 "'/no/such/t'" --swap "$scratch" --trace /no/such/t true
	refused 125 "no ordinary file" --swap "$scratch" --trace /dev/null true
	extmem run --dry-run --swap "$scratch" --trace "$scratch/t" true
	[ ! -e "$scratch/t" ]
	expect_output "export EXTMEM_TRACE='$scratch/t'"
	expect_output ": >'$scratch/t'"
	extmem run --swap "$scratch" --trace "$scratch/t" -- /bin/bash -c \
		'ulimit -f 1; for i in {1..300000}; do a[i]=$i; done; echo ${#a[@]}'
	expect_status 0
	[ "$output" = 300000 ]
	[[ $stderr == *"cannot write the trace '$scratch/t': a file may not be larger"* ]] ||
		fail_with "no word of it"
	[ "$(wc -c <"$scratch/t")" -le 1024 ]
}
