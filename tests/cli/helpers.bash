# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016,SC2034
#
# helpers.bash: what the tests of the commands share.
#
# EXTMEM names the dispatcher under test; by default the one in build/.
# Scratch folders are on a disk, because swap on a RAM file system is refused.

EXTMEM=${EXTMEM:-$BATS_TEST_DIRNAME/../../build/extmem}
SOURCE=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
# shellcheck source=tests/lib/children.sh
. "$SOURCE/tests/lib/children.sh"

common_setup() {
	unset EXTMEM_CONFIG EXTMEM_LIMIT EXTMEM_STATS EXTMEM_TRACE EXTMEM_RECORD EXTMEM_LIBRARY EXTMEM_POLICY_PATH LD_PRELOAD
	# Commands built with a sanitizer run with LD_PRELOAD set, too.
	export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0
	scratch=$(mktemp -d /var/tmp/extmem-cli.XXXXXX)
	chmod 755 "$scratch"
}

common_teardown() {
	end_children
	rm -rf "$scratch"
}

# ---- running ---------------------------------------------------------------

# Runs the command under test; $status, $output, and $stderr, apart.
extmem() {
	status=0
	output=$("$EXTMEM" "$@" 2>"$scratch/stderr" 3>&-) || status=$?
	stderr=$(cat "$scratch/stderr")
}

# As extmem, but without any privilege.
extmem_as_nobody() {
	local as=(setpriv --reuid=65534 --regid=65534 --clear-groups)

	(cd / && "${as[@]}" test -x "$EXTMEM") ||
		skip "the build tree is closed to user nobody"
	status=0
	output=$(cd / && "${as[@]}" "$EXTMEM" "$@" 2>"$scratch/stderr" 3>&-) || status=$?
	stderr=$(cat "$scratch/stderr")
}

need_root() {
	[ "$(id -u)" = 0 ] || skip "only root can make such a file or process"
}

need_tool() {
	command -v "$1" >/dev/null || skip "'$1' is not installed"
}

# Skips where the kernel offers no userfaultfd; any other failure is one.
need_paging() {
	extmem run --swap "$scratch" -- true
	[[ $stderr != *userfaultfd* ]] || skip "$stderr"
	[ "$status" = 0 ]
}

# Skips where this user's faults cannot go to a thread; any other failure is one.
need_thread_delivery() {
	extmem run --dry-run --swap "$scratch" --set faults.delivery=thread -- true
	[[ $stderr != *CAP_SYS_PTRACE* ]] || skip "$stderr"
	[ "$status" = 0 ]
}

# ---- looking ---------------------------------------------------------------

fail_with() {
	printf '%s\n' "$1" "status: $status" "stdout: $output" "stderr: $stderr" >&2
	return 1
}

expect_status() {
	[ "$status" = "$1" ] || fail_with "expected status $1"
}

# expect_line TEXT: stderr is one line with this in it, and begins as it should.
expect_line() {
	[ "$(wc -l <"$scratch/stderr")" = 1 ] || fail_with "expected one line on stderr"
	[[ $stderr == extmem*:\ * ]] || fail_with "expected 'extmem VERB: ...'"
	[[ $stderr == *"$1"* ]] || fail_with "expected '$1' on stderr"
}

expect_output() {
	[[ $output == *"$1"* ]] || fail_with "expected '$1' on stdout"
}

# The process $pid has a limit of so many bytes, before twenty seconds are over.
expect_limit() {
	for _ in $(seq 200); do
		extmem stat --json "$pid"
		[[ $output == *"\"limit_bytes\": $1,"* ]] && return
		sleep 0.1
	done
	fail_with "expected a limit of $1"
}

# ---- files to refuse -------------------------------------------------------

# elf FILE CLASS MACHINE INTERPRETER: the head of a program, as the kernel sees
# it; CLASS 1 is 32-bit, 2 is 64-bit; INTERPRETER "" makes it static.
make_elf() {
	perl -e '
		my ($class, $machine, $interp) = @ARGV;
		my $phnum = $interp eq "" ? 0 : 1;
		print pack("a4CCCCx8 vvVQQQVvvvvvv", "\x7fELF", $class, 1, 1, 0,
			3, $machine, 1, 0, 64, 0, 0, 64, 56, $phnum, 0, 0, 0);
		print pack("VVQQQQQQ", 3, 4, 120, 0, 0, length($interp) + 1,
			length($interp) + 1, 1), "$interp\0" if $phnum;
	' "$2" "$3" "$4" >"$1"
	chmod 755 "$1"
}

# ---- fake managed processes ------------------------------------------------

# fake SHAPE: a process that holds what a managed one would, shaped so:
#   good         statistics and a page table with two regions
#   garbage      right names, noise in them
#   short        statistics of 12 bytes
#   truncated    a good head in a file that ends after a page
#   newer        version 99
#   inherited    a good segment of another pid
#   noisy        good, but strings without end and full of control characters
#   bad-table    good statistics, a table whose arrays lie outside the file
#   bad-regions  good statistics, regions that overlap
#   torn         good statistics, a list of regions that is always changing
# Sets fake_pid.
fake() {
	perl -e "$fake_program" "$1" >"$scratch/fake" 3>&- &
	fake_pid=$!
	own "$fake_pid"
	for _ in $(seq 200); do
		grep -q ready "$scratch/fake" && return
		sleep 0.05
	done
	echo "the fake process did not start" >&2
	return 1
}

fake_program='
use strict;
my $shape = shift;
my ($BASE, $BYTES) = (0x200000000000, 1 << 26);
my @keep;

sub memory_file {
	my ($name, $bytes) = @_;
	my $fd = syscall(319, $name, 0);
	open(my $f, "+<&=", $fd) or die "memfd: $!";
	binmode $f;
	truncate($f, $bytes);
	push @keep, $f;
	return $f;
}

sub at {
	my ($f, $offset, $data) = @_;
	sysseek($f, $offset, 0);
	syswrite($f, $data);
}

sub statistics {
	my $bytes = 1 << 20; # more than we know: the layout may grow
	my $f = memory_file("extmem-stats", $bytes);
	my $pid = $shape eq "inherited" ? $$ + 1 : $$;
	my $version = $shape eq "newer" ? 99 : 2;

	at($f, 0, pack("a8VVVVQQQQ", "EEXTEMS1", $version, $bytes, $pid, 0,
		time * 10**9, 4096, $BASE, $BYTES));
	at($f, 56, pack("a64a32a32a16a16a16a64", "fake", "0.1.0", "lru", "copy",
		"signal", "on", "file /var/tmp"));
	at($f, 56, "\x1b[31m\"\\\n\xff" x 40) if $shape eq "noisy";
	at($f, 6528, pack("Q6", 4096, 4000, 96, 80, 240, $BYTES));
	at($f, 6784, pack("qQ", 1000, 3500));
	at($f, 6912, pack("Q3", 10, 20, 30));
	# The first two shards: 7 and 5 major faults, 100 us in all, one slow.
	at($f, 7040, pack("Q6", 100, 2, 7, 150000, 4000, 60000));
	at($f, 7040 + 8 * (6 + 2 * 96 + 40), pack("Q", 7));
	at($f, 7040 + 2688, pack("Q6", 0, 0, 5, 0, 0, 40000));
	at($f, 7040 + 2688 + 8 * (6 + 2 * 96 + 40), pack("Q", 5));
	truncate($f, 4096) if $shape eq "truncated";
}

# Pages 0-9 resident (0-3 clean), 10-11 standby, 12-99 stored of region one;
# region two is a gigabyte less than nothing: never touched.
sub table {
	my $f = memory_file("extmem-pages", 1 << 30);
	my ($regions, $blocks, $pages) = (4096, 8 << 20, 16 << 20);

	$pages = 1 << 40 if $shape eq "bad-table";
	at($f, 0, pack("a8VVQQQQQQVV", "EEXTEMP1", 2, 32, $BASE, $BYTES, $regions,
		$blocks, 12 << 20, $pages, 2, $shape eq "torn" ? 3 : 2));
	my $two = $shape eq "bad-regions" ? $BASE : $BASE + (4 << 20);
	at($f, $regions, pack("QQVVVVa32", $BASE, $BASE + 100 * 4096, 3, 0, 1, 7, ""));
	at($f, $regions + 88, pack("QQVVVVa32QQVV", $two, $two + (1 << 21), 1, 1, 0, 9,
		"a\"b\x1b", 0, 0, 0, 3));
	at($f, $blocks, pack("V", 1));
	at($f, $pages, pack("Q*", (0x22) x 4, (2) x 6, (4) x 2, (5) x 88));
}

if ($shape eq "garbage") {
	at(memory_file("extmem-stats", 100000), 0, "\xa5" x 100000);
	at(memory_file("extmem-pages", 100000), 0, "\xa5" x 100000);
} elsif ($shape eq "short") {
	at(memory_file("extmem-stats", 12), 0, "EEXTEMS1");
} else {
	statistics();
	table();
}
$| = 1;
print "ready\n";
sleep 1000;
'
