#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Plug-ins: the example of the manual, and each that is to be refused.

load helpers

setup() {
	common_setup
	umask 022
	need_tool cc
	cd "$scratch"
}

teardown() {
	common_teardown
}

# plugin NAME [C]: NAME.so, a FIFO; the text in C may replace parts of it.
plugin() {
	{
		cat <<-'EOF'
			#include <extmem-policy.h>
			#include <signal.h>
			#include <stdlib.h>
			#include <unistd.h>
			static uint32_t *links(struct extmem_cache *c) { return c->units; }
			static void fifo_insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
			{
				uint32_t *ends = c->state;
				(void)why;
				links(c)[unit] = 0;
				if (ends[1])
					links(c)[ends[1] - 1] = unit + 1;
				else
					ends[0] = unit + 1;
				ends[1] = unit + 1;
			}
			static uint32_t fifo_victim(struct extmem_cache *c)
			{
				uint32_t *ends = c->state, unit = ends[0];
				if (!unit)
					return EXTMEM_UNIT_NONE;
				ends[0] = links(c)[unit - 1];
				if (!ends[0])
					ends[1] = 0;
				return unit - 1;
			}
			static inline size_t guess_next(struct extmem_prefetch *p, void *thread, uint64_t page,
							uint32_t depth, struct extmem_guess *out)
			{
				(void)thread;
				out[0] = (struct extmem_guess){ page + (uint64_t)p->params[0], p->params[0], depth };
				return 1;
			}
			static const struct extmem_param params[] = {
				{ "step", 16, 1, 64, "", "how far apart" }, { NULL, 0, 0, 0, NULL, NULL }
			};
		EOF
		printf '%s\n' "${2:-}"
		cat <<-'EOF'
			#ifndef VERSION
			#define VERSION EXTMEM_EVICTION_VERSION
			#endif
			#ifndef INIT
			#define INIT NULL
			#endif
			#ifndef INSERT
			#define INSERT fifo_insert
			#endif
			#ifndef VICTIM
			#define VICTIM fifo_victim
			#endif
			#ifndef GUESS
			#define GUESS guess_next
			#endif
			#ifndef NO_EVICTION
			const struct extmem_eviction extmem_plugin_eviction = {
				.version = VERSION, .name = "test", .unit_bytes = 4, .state_bytes = 8,
				.params = params, .init = INIT, .insert = INSERT, .victim = VICTIM,
			};
			#endif
			#ifndef NO_PREFETCHER
			const struct extmem_prefetcher extmem_plugin_prefetcher = {
				.version = EXTMEM_PREFETCHER_VERSION, .name = "test", .params = params,
				.guess = GUESS,
			};
			#endif
		EOF
	} >"$1.c"
	cc -shared -fPIC -O1 -w -I "$SOURCE/lib" -o "$1.so" "$1.c"
}

# Whether a program with 60 MB in 24 gets through, under these options.
work() {
	extmem run --limit 24M --swap "$scratch" "$@" -- perl -e '
		my @a = map { "$_ " . "x" x 1000000 } 1 .. 60;
		for my $round (1 .. 3) {
			for my $i (1 .. 60) { $a[$i - 1] =~ /^$i x/ or die "lost $i" }
		}
		print "whole\n"'
	expect_status 0
	[ "$output" = whole ]
}

# refuse REASON: run refuses ./p.so with it, and the command does not start.
refuse() {
	extmem run --set eviction.plugin=./p.so -- touch started
	expect_status 125
	expect_line "--set: 'eviction.plugin' is './p.so': $1"
	[ ! -e started ]
}

# ---- the example -----------------------------------------------------------

# As its comment and the manual say, with what is installed.
build_example() {
	local pc

	need_tool pkg-config
	pc=$(dirname "$EXTMEM")/lib
	[ -e "$pc/libextmem.pc" ] || skip "no libextmem.pc beside the command"
	mkdir -p prefix/include
	cp "$SOURCE/lib/extmem-policy.h" prefix/include/
	# shellcheck disable=SC2046
	PKG_CONFIG_PATH=$pc cc -shared -fPIC -O2 -Wall -Wextra -Werror -Wl,-z,now \
		$(PKG_CONFIG_PATH=$pc pkg-config --define-variable=prefix="$scratch/prefix" \
			--cflags libextmem) \
		-o slru.so "$SOURCE/share/examples/policy/slru.c"
}

@test "the example is built by make, and by the line in its comment" {
	[ -e "$(dirname "$EXTMEM")/share/examples/policy/slru.so" ]
	grep -qF 'cc -shared -fPIC -O2 -Wl,-z,now $(pkg-config --cflags libextmem) -o slru.so slru.c' \
		"$SOURCE/share/examples/policy/slru.c"
	build_example
}

@test "the example does in simulate what a plain model of it does" {
	build_example
	need_tool python3
	python3 - >trace <<-'EOF'
		import random
		random.seed(5)
		for i in range(20000):
		    print(int(random.paretovariate(0.6)) % 300 if i % 5 else i % 1000)
	EOF
	extmem policy simulate --trace trace --policies lru,./slru.so --limits 40,100,250 --json
	expect_status 0
	printf '%s' "$output" >got
	python3 - <<-'EOF'
		import json
		def misses(refs, capacity):
		    probation, protected, n = {}, {}, 0   # oldest first
		    for r in refs:
		        if r in probation or r in protected:
		            (probation if r in probation else protected).pop(r)
		            protected[r] = 1
		            while len(protected) > capacity * 80 // 100:
		                old = next(iter(protected)); del protected[old]; probation[old] = 1
		            continue
		        n += 1
		        if len(probation) + len(protected) == capacity:
		            q = probation or protected
		            del q[next(iter(q))]
		        probation[r] = 1
		    return n
		refs = [int(l) for l in open("trace")]
		got = json.load(open("got"))
		row, = [a for a in got["algorithms"] if a["name"] == "slru"]
		assert row["misses"] == [misses(refs, c) for c in (40, 100, 250)], row
	EOF
}

@test "the example runs a program, by --set and by a policy file beside it" {
	need_paging
	build_example
	mkdir policies
	mv slru.so policies/
	work --set eviction.plugin=policies/slru.so --stats stats.json
	grep -q '"algorithm": "slru"' stats.json
	[ "$stderr" = "" ]
	printf 'eviction: {plugin: ./slru.so, params: {protect: 60}}\n' >policies/mine.yaml
	work --policy policies/mine.yaml
	cd policies
	extmem policy show ./mine.yaml
	expect_output "  plugin: $scratch/policies/slru.so"
	expect_output "  params: {protect: 60}"
	[[ $output != *"algorithm: lru"* ]]
	printf '%s\n' "$output" >shown.yaml
	extmem policy show ./shown.yaml
	diff shown.yaml - <<<"$output"
	extmem policy show --json ./mine.yaml
	expect_output '"eviction": {"plugin": "'
}

# ---- in a running program --------------------------------------------------

@test "plug-ins for eviction, prefetch and rules live together, in children too" {
	need_paging
	plugin one
	plugin two '#define NO_PREFETCHER'
	plugin old '#define NO_EVICTION'
	cc -shared -fPIC -w -I "$SOURCE/lib" -Wl,--hash-style=sysv -o old.so old.c
	cat >many.yaml <<-'EOF'
		eviction: {plugin: one.so}
		prefetch: {plugin: old.so, params: {step: 3}}
		regions:
		  - match: {source: heap, size: ">=3M"}
		    eviction: {plugin: two.so, params: {step: 2}}
		  - match: {source: heap}
		    eviction: {algorithm: fifo}
	EOF
	work --policy ./many.yaml
	extmem run --limit 24M --swap "$scratch" --policy ./many.yaml --stats 'stats.%p' -- \
		sh -c 'perl -e "\$a = q(x) x 50000000; print length \$a"; true'
	expect_status 0
	[ "$output" = 50000000 ]
	[ "$stderr" = "" ]
	[ "$(cat stats.* | grep -c '"algorithm": "test"')" -ge 2 ]
}

@test "a run within a run leaves the outer one's plug-ins behind" {
	plugin one
	plugin two
	extmem run --set eviction.plugin=./one.so --dry-run true
	expect_output "libextmem.so:$scratch/one.so'"
	LD_PRELOAD="libmore.so:$(dirname "$EXTMEM")/lib/.libs/libextmem.so:$scratch/one.so" \
		EXTMEM_CONFIG=$'eviction.plugin='"$scratch"$'/one.so\nlimits.memory=64M\n' \
		"$EXTMEM" run --set eviction.plugin=./two.so --dry-run true 2>/dev/null |
		grep "^export LD_PRELOAD=.*/libextmem.so:$scratch/two.so:libmore.so'$"
}

@test "a running process changes between built-in algorithms and its plug-ins" {
	need_paging
	plugin one
	plugin two
	"$EXTMEM" run --limit 24M --swap "$scratch" --set eviction.plugin=./one.so -- perl -e '
		$| = 1; alarm 60; my @a = map { "x" x 1000000 } 1 .. 40; print "ready\n";
		$SIG{USR1} = sub { print "sum ", eval { my $n = 0; $n += length for @a; $n }, "\n" };
		while (1) { substr($_, 1000 * (rand 900), 1) = "y" for @a; select undef, undef, undef, 0.01 }
	' >out 2>err 3>&- &
	pid=$!
	own "$pid"
	for _ in $(seq 100); do grep -q ready out && break; sleep 0.1; done
	extmem policy show "$pid"
	expect_output "  plugin: $scratch/one.so"
	extmem policy apply "$pid" --set eviction.algorithm=s3fifo
	expect_output "+ eviction.algorithm=s3fifo"
	extmem policy apply "$pid" --set eviction.plugin=./one.so --set eviction.params.step=3 \
		--set prefetch.plugin=./one.so
	expect_output "+ eviction.plugin=$scratch/one.so"
	expect_output "+ prefetch.plugin=$scratch/one.so"
	extmem stat "$pid"
	expect_output "algorithm test"
	extmem policy apply "$pid" --set eviction.params.step=65
	expect_status 1
	expect_line "'eviction.params' has 'step' as '65': expected a whole number from 1 to 64"
	extmem policy apply "$pid" --set eviction.algorithm=fifo
	expect_status 0
	expect_output "- eviction.params=step=3"
	extmem policy apply "$pid" --set eviction.plugin=./two.so
	expect_status 1
	expect_line "process $pid: 'eviction.plugin' is '"
	expect_line "it was not loaded when the program started: expected a plug-in that the policy named then"
	extmem policy apply "$pid" --set eviction.plugin=./three.so
	expect_status 1
	expect_line "'eviction.plugin' is './three.so': cannot open it: No such file or directory"
	kill -USR1 "$pid"
	for _ in $(seq 100); do grep -q sum out && break; sleep 0.1; done
	grep -qx "sum 40000000" out
	[ ! -s err ]
}

@test "a plug-in that goes wrong later is said, loses nothing, and can be replaced" {
	need_paging
	plugin p '
		static uint32_t wrong(struct extmem_cache *c)
		{
			static int calls;
			return ++calls > 4300 ? 4000000000u : fifo_victim(c);
		}
		#define VICTIM wrong'
	"$EXTMEM" run --limit 24M --swap "$scratch" --set eviction.plugin=./p.so \
		--set eviction.granule=4K -- perl -e '
		$| = 1; alarm 60; my @a = map { "x" x 1000000 } 1 .. 60; print "ready\n";
		$SIG{USR1} = sub { print "sum ", eval { my $n = 0; $n += length for @a; $n }, "\n" };
		while (1) { substr($_, 1000 * (rand 900), 1) = "y" for @a; select undef, undef, undef, 0.01 }
	' >out 2>err 3>&- &
	pid=$!
	own "$pid"
	for _ in $(seq 100); do grep -q ready out && grep -q "not in" err && break; sleep 0.1; done
	grep -q "the eviction algorithm 'test' gave unit 4000000000, which is not in: it is not asked again" err
	[ "$(grep -c "not in" err)" = 1 ]
	extmem policy apply "$pid" --set eviction.algorithm=lru
	expect_status 0
	kill -USR1 "$pid"
	for _ in $(seq 100); do grep -q sum out && break; sleep 0.1; done
	grep -qx "sum 60000000" out
	# What it withheld can leave: the limit is kept again.
	for _ in $(seq 50); do
		resident=$("$EXTMEM" stat --json "$pid" | sed 's/.*"resident_bytes": \([0-9]*\).*/\1/')
		[ "$resident" -le $((24 << 20)) ] && break
		sleep 0.1
	done
	[ "$resident" -le $((24 << 20)) ]
}

@test "a plug-in may do without memory for units, or beside them" {
	need_paging
	plugin p '
		static uint32_t ring[1 << 16], head, tail;
		static void push(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
		{
			ring[head++ % (1 << 16)] = unit;
		}
		static uint32_t pop(struct extmem_cache *c)
		{
			return head == tail ? EXTMEM_UNIT_NONE : ring[tail++ % (1 << 16)];
		}
		static void begin(struct extmem_cache *c) { head = tail = 0; }
		#define INIT begin
		#define INSERT push, .unit_bytes = 0, .state_bytes = 0
		#define VICTIM pop'
	extmem policy simulate --policies fifo,./p.so --json
	expect_status 0
	python3 -c 'import json, sys
a = json.load(sys.stdin)["algorithms"]
assert a[0]["misses"] == a[1]["misses"], a' <<<"$output"
	work --set eviction.plugin=./p.so
	[ "$stderr" = "" ]
}

@test "guesses out of range are not read" {
	need_paging
	plugin p '
		static size_t wild(struct extmem_prefetch *p, void *thread, uint64_t page, uint32_t depth,
				   struct extmem_guess *out)
		{
			out[0] = (struct extmem_guess){ page, 0, 4 };
			out[1] = (struct extmem_guess){ UINT64_MAX - 3, 1, 8 };
			out[2] = (struct extmem_guess){ page, INT64_MIN, 2 };
			out[3] = (struct extmem_guess){ page + 1, 1, 4000000000u };
			out[4] = (struct extmem_guess){ 1ull << 50, -8191, 32 };
			out[5] = (struct extmem_guess){ page, 1, 0 };
			return 6;
		}
		#define GUESS wild'
	work --set prefetch.plugin=./p.so
	[ "$stderr" = "" ]
}

# ---- refused ---------------------------------------------------------------

@test "what is no plug-in is refused" {
	refuse "cannot open it: No such file or directory"
	extmem run --set "eviction.plugin=~/p.so" -- true
	expect_status 125
	expect_line "cannot open it: No such file or directory; ~ is not expanded here, \$HOME is by the shell"
	echo text >p.so
	refuse "it cannot be loaded: $scratch/p.so: file too short"
	rm p.so
	mkdir p.so
	refuse "it is no file: expected a shared object"
	rmdir p.so
	plugin p $'#define NO_EVICTION\n#define NO_PREFETCHER'
	refuse "it defines neither extmem_plugin_eviction nor extmem_plugin_prefetcher"
	plugin p '#define NO_EVICTION'
	refuse "it does not define extmem_plugin_eviction, but extmem_plugin_prefetcher, which is for prefetch.plugin"
	plugin p 'extern int nowhere; int *somewhere(void) { return &nowhere; }'
	refuse "it cannot be loaded: "
	[[ $stderr == *nowhere* ]]
}

@test "another version, a missing function and too much memory are refused" {
	plugin p '#define VERSION 2'
	refuse "its extmem_plugin_eviction has version 2: expected 1, so compile it with the extmem-policy.h of this extmem"
	plugin p '#define VICTIM NULL'
	refuse "its extmem_plugin_eviction has no function 'victim'"
	plugin p '#define INSERT fifo_insert, .unit_bytes = 4096'
	refuse "its extmem_plugin_eviction wants 4096 bytes a unit"
}

@test "what crashes, hangs or ends the process when it is tried is refused" {
	plugin p 'static void bad(struct extmem_cache *c) { *(volatile int *)8 = 0; }
		#define INIT bad'
	refuse "it crashes in init(): Segmentation fault; gdb shows where, with 'set follow-fork-mode child'"
	plugin p 'static void bad(struct extmem_cache *c) { abort(); }
		#define INIT bad'
	refuse "it crashes in init(): Aborted"
	plugin p 'static void bad(struct extmem_cache *c) { _exit(0); }
		#define INIT bad'
	refuse "it ends the process in init()"
	plugin p '__attribute__((constructor)) static void bad(void) { raise(SIGILL); }'
	refuse "it crashes in a constructor: Illegal instruction"
	plugin p 'static size_t bad(struct extmem_prefetch *p, void *thread, uint64_t page, uint32_t depth,
			struct extmem_guess *out) { return 9; }
		#define GUESS bad'
	refuse "guess() returns 9 in a trial: expected at most 8"
	plugin p 'static uint32_t bad(struct extmem_cache *c) { return 63; }
		#define VICTIM bad'
	refuse "victim() returns unit 63 in a trial with 16 units in: expected one of those"
	plugin p 'static uint32_t bad(struct extmem_cache *c) { return EXTMEM_UNIT_NONE; }
		#define VICTIM bad'
	refuse "victim() returns EXTMEM_UNIT_NONE in a trial with 16 units in: expected one of those"
	plugin p 'static void bad(struct extmem_cache *c) { for (;;) pause(); }
		#define INIT bad'
	refuse "it hangs in init(): no end after 5 s"
}

@test "what writes beyond the memory that it asked for is refused" {
	plugin p '#define INSERT fifo_insert, .unit_bytes = 2'
	refuse "it writes beyond its .unit_bytes, 2, in insert(): expected the size of all that it keeps there"
	plugin p '#define INSERT fifo_insert, .unit_bytes = 0'
	refuse "it writes beyond its .unit_bytes, 0, in insert()"
	plugin p '#define INSERT fifo_insert, .state_bytes = 4'
	refuse "it writes beyond its .state_bytes, 4, in insert()"
	plugin p 'static size_t bad(struct extmem_prefetch *p, void *thread, uint64_t page, uint32_t depth,
			struct extmem_guess *out) { ((uint64_t *)thread)[1] = page; return 0; }
		#define GUESS bad, .thread_bytes = 8'
	refuse "it writes beyond its .thread_bytes, 8, in guess()"
}

@test "a table without an end, thread-local data and the name of a built-in one are refused" {
	plugin p '#define INSERT fifo_insert, .params = (void *)8'
	refuse "it crashes in a look at its table: Segmentation fault; does .params end with { NULL }?"
	plugin p 'static __thread int calls;
		static uint32_t counted(struct extmem_cache *c) { calls++; return fifo_victim(c); }
		#define VICTIM counted'
	refuse "it has thread-local data, which a fault handler must not touch"
	plugin p '#include <errno.h>
		static uint32_t told(struct extmem_cache *c) { errno = 0; return fifo_victim(c); }
		#define VICTIM told'
	extmem policy simulate --policies ./p.so --references 1000
	expect_line "the plug-in '$scratch/p.so' uses '__errno_location'"
	plugin p '#define INSERT fifo_insert, .name = "2q"'
	refuse "the name in its extmem_plugin_eviction is '2q', a built-in algorithm's: expected another"
}

@test "what others can write to is refused, with its folders" {
	plugin p
	chmod o+w p.so
	refuse "'$scratch/p.so' is writable by others, who could put other code there: 'chmod go-w $scratch/p.so' first"
	chmod o-w,g+w p.so
	refuse "'$scratch/p.so' is writable by others"
	chmod g-w p.so
	chmod o+w .
	refuse "its folder '$scratch' is writable by others"
	chmod +t .
	extmem run --set eviction.plugin=./p.so --dry-run true
	expect_status 0
	chmod o-w,-t .
	mkdir -m 777 open
	mkdir open/closed
	cp p.so open/closed/
	rm p.so
	ln -s open/closed/p.so p.so
	refuse "its folder '$scratch/open' is writable by others"
}

@test "what belongs to another user is refused" {
	need_root
	plugin p
	chown 65534 p.so
	refuse "'$scratch/p.so' belongs to another user (uid 65534): expected a plug-in of your own or of root"
	chown 0 p.so
	extmem_as_nobody policy simulate --policies "$scratch/p.so" --references 1000
	expect_status 0
	chown 1 p.so
	extmem_as_nobody policy simulate --policies "$scratch/p.so" --references 1000
	expect_status 1
	expect_line "belongs to another user (uid 1)"
}

@test "what LD_PRELOAD cannot hold is refused by run" {
	plugin p
	for name in 'a b' 'a:b' 'a$ORIGIN'; do
		mkdir "$name"
		cp p.so "$name/"
		extmem run --set "eviction.plugin=./$name/p.so" -- true
		expect_status 125
		expect_line "has a space, a colon or a \$ in it, which LD_PRELOAD cannot hold: move it"
	done
	extmem policy simulate --policies "./a b/p.so" --references 1000
	expect_status 0
}

@test "what must not be called in a fault handler is warned of" {
	plugin p 'static uint32_t chatty(struct extmem_cache *c)
		{ static void *volatile p; p = malloc(8); free(p); return fifo_victim(c); }
		#define VICTIM chatty'
	extmem policy simulate --policies ./p.so --references 1000
	expect_status 0
	expect_line "warning: the plug-in '$scratch/p.so' uses "
	[[ $stderr == *"'malloc'"* ]]
	expect_line ": nothing but memcpy, memmove, memset and memcmp may be called in a fault handler"
}

@test "check, show and run name file, line and column" {
	plugin p '#define VERSION 7'
	printf 'limits: {memory: 64M}\neviction:\n  plugin: p.so\n' >p.yaml
	for verb in "policy check" "policy show" "run --dry-run --policy=./p.yaml --"; do
		# shellcheck disable=SC2086
		extmem $verb ./p.yaml
		[ "$status" != 0 ]
		[[ $stderr == "extmem "*": ./p.yaml:3:11: 'eviction.plugin' is './p.so': its extmem_plugin_eviction has version 7"* ]] ||
			fail_with "file, line and column"
	done
	plugin p
	printf 'eviction: {plugin: p.so, params: {steps: 3}}\n' >p.yaml
	extmem policy check ./p.yaml
	expect_status 1
	expect_line "./p.yaml:1:26: 'eviction.params' has 'steps': '$scratch/p.so' has no such parameter, expected step"
	printf 'eviction: {plugin: p.so, algorithm: lru}\n' >p.yaml
	extmem policy check ./p.yaml
	expect_status 1
	expect_line "'eviction.algorithm' and 'eviction.plugin' are both here"
	printf 'prefetch: {plugin: p.so, params: {step: 65}}\n' >p.yaml
	extmem policy check ./p.yaml
	expect_status 1
	expect_line "'prefetch.params' has 'step' as '65': expected a whole number from 1 to 64"
}

@test "simulate sets the parameters of plug-ins, whatever their folder is called" {
	build_example
	mkdir a:b
	mv slru.so a:b/
	extmem policy simulate --references 20000 --limits 500 --json \
		--policies a:b/slru.so,a:b/slru.so:protect=0,lru:active=0
	expect_status 0
	python3 -c 'import json, sys
a = {r["name"]: r["misses"] for r in json.load(sys.stdin)["algorithms"]}
assert list(a)[:3] == ["slru", "slru:protect=0", "lru:active=0"], a
assert a["slru"] < a["slru:protect=0"] == a["lru:active=0"], a' <<<"$output"
	extmem policy simulate --policies a:b/slru.so:protect=96
	expect_status 2
	expect_line "'--policies' has 'a:b/slru.so:protect=96': 'eviction.params' has 'protect' as '96': expected a whole number from 0 to 95"
	cd a:b
	extmem policy simulate --policies lru,slru.so
	expect_status 2
	expect_line "unknown algorithm 'slru.so': write ./slru.so for a plug-in"
}

@test "simulate refuses the same, and a victim that is not in later" {
	plugin p '#define VERSION 7'
	extmem policy simulate --policies lru,./p.so
	expect_status 1
	expect_line "cannot use the plug-in './p.so': its extmem_plugin_eviction has version 7"
	plugin p 'static uint32_t bad(struct extmem_cache *c)
		{ static int n; return ++n > 5000 ? 0 : fifo_victim(c); }
		#define VICTIM bad'
	extmem policy simulate --policies ./p.so
	expect_status 1
	expect_line "'test' gives a victim that is not in: expected a unit that was inserted and has not left"
	extmem policy simulate --policies ./none.so
	expect_status 1
	expect_line "cannot use the plug-in './none.so': cannot open it"
}
