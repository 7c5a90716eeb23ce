# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
#
# workloads.sh: what the benchmark runs, and what it wants to see.
#
# The table says of each workload its unit, its columns (columns.sh) and its
# targets. A target REFERENCE:N wants N times the speed of the reference:
# another column, or "kernel", which is the better one of the settings of
# vm.page-cluster that were run; REFERENCE:- shows the ratio and wants nothing;
# at-most:N bounds the figure itself. Speed is the figure, or the inverse of it
# where less is better (report.awk knows by the unit).
#
#	workload_names            the table's, in order
#	workload_field NAME N     of the table; 2 the unit, 3 columns, 4 targets
#	workload_prepare NAME     0, or 1 with the reason in $reason
#	workload_run COLUMN       one run of what was prepared: figures, or 1 with a reason
#
# Touches of a pattern by any number of threads need no line: PATTERN-OP-THREADS.

workload_table='
random-write-1 |pages/s|native kernel-0 kernel-3 extmem floor fio|kernel:0.95
random-write-2 |pages/s|native kernel-0 kernel-3 extmem floor fio|kernel:1.25
random-write-8 |pages/s|native kernel-0 kernel-3 extmem floor fio|kernel:1.6 fio:0.85
seq-write-1    |pages/s|native kernel-3 kernel-5 extmem fio|kernel-3:4 kernel-5:- fio:0.70
seq-write-2    |pages/s|native kernel-3 kernel-5 extmem fio|kernel-3:4 kernel-5:- fio:0.70
seq-write-8    |pages/s|native kernel-3 kernel-5 extmem fio|kernel-3:4 kernel-5:- fio:0.70
seq-read-1     |pages/s|native kernel-0 kernel-3 extmem fio|kernel:5
seq-read-2     |pages/s|native kernel-0 kernel-3 extmem fio|kernel:5
seq-read-8     |pages/s|native kernel-0 kernel-3 extmem fio|kernel:4
hot-write-1    |pages/s|native kernel-0 kernel-3 extmem fio|kernel:0.95
hot-write-2    |pages/s|native kernel-0 kernel-3 extmem fio|kernel:1.2
hot-write-8    |pages/s|native kernel-0 kernel-3 extmem fio|kernel:1.4
strided-write-1|pages/s|native kernel-0 kernel-3 extmem fio|kernel:-
chase-read-1   |pages/s|native kernel-0 kernel-3 extmem fio|kernel:-
temps-read-1   |pages/s|native kernel-0 kernel-3 extmem|kernel:-
fill-write-1   |GB/s|native kernel-0 kernel-3 extmem floor fio|kernel:3
fill-write-2   |GB/s|native kernel-0 kernel-3 extmem floor fio|kernel:3
fill-write-8   |GB/s|native kernel-0 kernel-3 extmem floor fio|kernel:2
pagerank-1     |iterations/s|native kernel-0 kernel-3 extmem|kernel:2
pagerank-2     |iterations/s|native kernel-0 kernel-3 extmem|kernel:2
cyclic-read    |pages/s|native extmem-lru extmem|extmem-lru:2
hotscan-read   |pages/s|native extmem-lru extmem|extmem-lru:1.3
pagerank-csr   |iterations/s|native extmem-lru extmem|extmem-lru:1.3
replay-chase   |pages/s|native extmem-lru extmem|extmem-lru:1.5
replay-random  |pages/s|native extmem-lru extmem|extmem-lru:1.5
sort           |s|native kernel-0 kernel-3 extmem|kernel:1
redis          |requests/s|native kernel-0 kernel-3 extmem|kernel:1
sqlite3        |s|native kernel-0 kernel-3 extmem|kernel:1
python3        |s|native kernel-0 kernel-3 extmem|kernel:1
first-touch    |GB/s|native extmem|native:1
fault-first    |ns|floor extmem|floor:-
fault-soft     |ns|floor extmem|floor:0.87
sparse         |ns|extmem-1g extmem|extmem-1g:0.95
idle           |us/s|native extmem|at-most:500
resident-touch |pages/s|native extmem|native:0.99
resident-sort  |s|native extmem|native:0.99
resident-python3|s|native extmem|native:0.99
resident-xz    |s|native extmem|native:0.99'

# NAMES REFERENCE COUNT N: so many of them have N times its speed.
workloads_together='sort,redis,sqlite3,python3 kernel 2 1.5'

workload_names() {
	awk -F '|' 'NF { sub(/ +$/, "", $1); print $1 }' <<<"$workload_table"
}

# is_touches NAME
is_touches() {
	[[ $1 =~ ^(fill|random|seq|strided|hot|chase|temps)-(read|write)-([1-9][0-9]*)$ ]] &&
		[ "${BASH_REMATCH[3]}" -le 256 ]
}

workload_field() {
	local line=''

	line=$(grep "^$1 *|" <<<"$workload_table") || {
		case $1 in
		fill-*) line="$1|GB/s|native kernel-0 kernel-3 extmem floor fio|kernel:-" ;;
		*) line="$1|pages/s|native kernel-0 kernel-3 extmem floor fio|kernel:-" ;;
		esac
	}
	cut -d '|' -f "$2" <<<"$line"
}

# by_size FULL QUICK
by_size() {
	if [ $quick = yes ]; then echo "$2"; else echo "$1"; fi
}

# ---- one run ---------------------------------------------------------------

# json_decimal KEY <JSON
json_decimal() {
	sed -n 's/.*"'"$1"'": *\([0-9.]*\).*/\1/p' | head -n 1
}

# figure METRIC VALUE: of this workload, column and round.
figure() {
	printf 'figure\t%s\t%s\t%s\t%s\t%s\n' "$workload" "$column" "$round" "$1" "$2" >>"$raw"
}

failed() {
	reason="$1: $(tail -n 1 "$scratch/err")"
	return 1
}

# The kernel's swap can be too slow for a group, and page tables count there.
out_of_memory() {
	reason="the kernel ended it for want of memory in the group"
	return 1
}

# run_command COLUMN COMMAND... >OUT
run_command() {
	local status

	column_before "$1"
	(column_exec "$@") 2>"$scratch/err" </dev/null &
	own "$!"
	wait "$!" 2>/dev/null # unlike a command in the foreground, it gives way to a signal
	status=$?
	children=()
	column_after "$1"
	case $status,$1 in
	0,*) ;;
	137,kernel-*) out_of_memory ;;
	*) failed "status $status" ;;
	esac
}

# What the paging cost, and how long faults took, where it is known.
paging_figures() {
	local gb kind n p50 p99

	gb=$(column_paged_gb "$1")
	if [ -n "$gb" ]; then
		figure paged_gb "$gb"
		figure cpu_s "$(column_cpu_seconds "$1")"
	fi
	[ -s "$scratch/stats" ] || return 0
	while read -r kind n p50 p99; do
		figure "$kind.count" "$n"
		figure "$kind.p50_ns" "$p50"
		figure "$kind.p99_ns" "$p99"
	done < <(grep -o '"[a-z]*": {"count"[^}]*' "$scratch/stats" |
		sed 's/"\([a-z]*\)": {"count": \([0-9]*\).*"p50_ns": \([0-9]*\).*"p99_ns": \([0-9]*\).*/\1 \2 \3 \4/')
}

run_seconds() {
	cut -d ' ' -f 1 "$scratch/measured"
}

# ---- fio: the same pattern, by the disk --------------------------------------

# fio_job NAME ARGUMENT...: "READ-BYTES/S READS/S WRITE-BYTES/S", once a round.
fio_job() {
	local cache=$scratch/fio.$round.$1

	shift
	if ! [ -s "$cache" ]; then
		fio --name=extmem --filename="$fio_file" --size="$mb"M --direct=1 --group_reporting \
			--time_based --runtime="$fio_seconds" --output-format=terse \
			--terse-version=3 "$@" 2>"$scratch/err" |
			awk -F ';' '/^3;/ { print $7 * 1024, $8, $48 * 1024 }' >"$cache"
	fi
	cat "$cache"
}

# A file that is written afresh; one that has no blocks yet would be faster.
fio_prepare() {
	[ -z "$fio_file" ] || return 0
	fio_file=$(mktemp "$swap/extmem-bench-fio.XXXXXX") || return
	fio --name=extmem --filename="$fio_file" --size="$mb"M --direct=1 --rw=write --bs=1M \
		>/dev/null 2>"$scratch/err"
}

# In the workload's own unit: as if all that was missing went at the disk's
# pace, and nothing else took time. What is missing: all but what fits.
fio_run() {
	local share value

	fio_prepare || failed "fio" || return
	share=$(awk -v l="$limit_mb" -v m="$mb" 'BEGIN { print 1 - l / m }')
	case $workload in
	hot-*) share=$(awk -v s="$share" 'BEGIN { print s * 26 / 256 }') ;;
	strided-*) share=1 ;;
	esac
	case $workload in
	seq-write-*) value=$(fio_job mixed --rw=rw --bs=1M --ioengine=libaio --iodepth=4 |
		awk '{ print $1 / 4096 }') ;;
	seq-read-*) value=$(fio_job read --rw=read --bs=1M --ioengine=libaio --iodepth=4 |
		awk '{ print $1 / 4096 }') ;;
	fill-*) value=$(fio_job write --rw=write --bs=1M --ioengine=libaio --iodepth=4 |
		awk -v s="$share" '{ print $3 / s / 1e9 }') ;;
	*) value=$(fio_job "random-$threads" --rw=randread --bs=4k --ioengine=psync \
		--numjobs="$threads" --thread | awk -v s="$share" '{ print $2 / s }') ;;
	esac
	[ -n "$value" ] || failed "fio" || return
	figure value "$value"
}

# ---- touches ---------------------------------------------------------------

# touch_run COLUMN
touch_run() {
	local command=("$touch" --json "${touch_options[@]}") rate

	if [ "$1" = fio ]; then
		fio_run
		return
	fi
	[ "$workload" != sparse ] ||
		command+=(--reserve-gb "$([ "$1" = extmem-1g ] && echo 1 || echo 256)")
	run_command "$1" "${command[@]}" >"$scratch/out" || return
	rate=$(json_decimal touches_per_second <"$scratch/out")
	case $(workload_field "$workload" 2) in
	us/s) figure value "$(json_decimal cpu_us_per_second <"$scratch/out")" ;;
	GB/s) figure value "$(awk -v n="$rate" 'BEGIN { print n * 4096 / 1e9 }')" ;;
	ns) figure value "$(awk -v n="$rate" 'BEGIN { print 1e9 / n }')" ;;
	*) figure value "$rate" ;;
	esac
}

# ---- programs --------------------------------------------------------------

# program_prepare SHARE COMMAND...: what it writes alone, and the limit: the
# memory that it took divided by SHARE, or more than it takes ("resident").
program_prepare() {
	local share=$1

	shift
	command=("$@")
	"$measure" "$scratch/measured" "$@" </dev/null >"$scratch/out" 2>"$scratch/err" ||
		failed "alone" || return
	cksum <"$scratch/out" >"$scratch/reference"
	read -r _ alone_kib _ <"$scratch/measured"
	set_limit "$share"
}

# Of alone_kib; no less than extmem takes.
set_limit() {
	mb=$((alone_kib / 1024))
	limit_mb=4096
	[ "$1" != resident ] || return 0
	limit_mb=$(((alone_kib / $1 + 512) / 1024))
	[ "$limit_mb" -ge 8 ] || limit_mb=8
}

same_as_reference() {
	cksum <"$1" | cmp -s - "$scratch/reference" || {
		reason="wrong output"
		return 1
	}
}

# program_run COLUMN
program_run() {
	run_command "$1" "${command[@]}" >"$scratch/out" &&
		same_as_reference "$scratch/out" || return
	figure value "$(run_seconds)"
}

# pagerank_run COLUMN: its figures differ, its checksum may not.
pagerank_run() {
	run_command "$1" "${command[@]}" >"$scratch/out" || return
	if [ "$(grep -o '"checksum.*' "$scratch/out")" != "$(cat "$scratch/reference")" ]; then
		reason="wrong output"
		return 1
	fi
	figure value "$(json_decimal iterations_per_second <"$scratch/out")"
}

pagerank_prepare() {
	local graph=$scratch/graph

	[ -s "$graph" ] || "$builddir/tests/bench/pagerank" --scale "$(by_size 20 14)" \
		--write "$graph" 2>"$scratch/err" || failed "the graph" || return
	program_prepare 2 "$builddir/tests/bench/pagerank" --json --threads "$threads" \
		--iterations "$(by_size 5 2)" "$graph" &&
		grep -o '"checksum.*' "$scratch/out" >"$scratch/reference"
}

# lines_prepare FILE ARGUMENT...
lines_prepare() {
	[ -s "$scratch/$1" ] || "$builddir/tests/lib/lines" "${@:2}" >"$scratch/$1"
}

sort_prepare() {
	need sort && lines_prepare lines --mb "$(by_size 32 16)" --long &&
		program_prepare "$1" sort --parallel=1 -S 2G "$scratch/lines"
}

# Sets python to the interpreter itself: a script that stands in front of it,
# as version managers have them, forks some forty times before it starts.
python_prepare() {
	python=$(python3 -c 'import sys; print(sys.executable)' 2>"$scratch/err") ||
		failed "python3" || return
	cat >"$scratch/dict.py" <<-'END'
		import sys

		count = int(sys.argv[1])
		squares = {"key %d" % i: i * i for i in range(count)}
		print(len(squares), sum(squares.values()))
		print(sum(squares["key %d" % (i * 7919 % count)] == (i * 7919 % count) ** 2
			for i in range(0, count, 20)))
	END
}

sqlite_prepare() {
	cat >"$scratch/script.sql" <<-END
		CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, name TEXT, body TEXT);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO t SELECT i, (i * 2654435761) % 4294967291,
		  printf('%08x', (i * 40503) % 4294967291), printf('%.100c', char(97 + i % 26)) || i FROM n;
		CREATE INDEX t_k ON t (k);
		SELECT count(*), sum(k), min(name), max(body) FROM t;
		UPDATE t SET body = name || substr(body, 1, 90) WHERE k % 7 = 0;
		SELECT k % 100, count(*), sum(length(body)) FROM t GROUP BY 1 ORDER BY 1;
		SELECT sum(length(body)), min(body) FROM t WHERE k BETWEEN 1000000000 AND 1200000000;
	END
}

# ---- redis -----------------------------------------------------------------
# A value follows from its key, or is what redis-benchmark sets; at the end
# every eighth key is read back.

redis_ask() {
	redis-cli -s "$scratch/redis.socket" "$@"
}

redis_prepare() {
	redis_keys=$(by_size 64000 16000)
	redis_requests=$(by_size 40000 4000)
	# Debian's redis-server would also start a server that nobody asked for;
	# redis-check-rdb is the same binary.
	ln -sf "$(command -v redis-check-rdb)" "$scratch/redis-server"
	command=("$scratch/redis-server" --port 0 --unixsocket "$scratch/redis.socket"
		--dir "$scratch" --save '' --appendonly no --daemonize no)
	awk -v keys="$redis_keys" 'BEGIN {
		for (i = 0; i < keys; i++) {
			key = sprintf("key:%012d", i)
			value = sprintf("%01000d", i)
			printf "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", length(key), key,
				length(value), value
		}
	}' >"$scratch/redis.fill"
	awk -v keys="$redis_keys" 'BEGIN {
		for (i = 0; i < keys; i += 80) {
			printf "MGET"
			for (k = i; k < i + 80 && k < keys; k += 8)
				printf " key:%012d", k
			print ""
		}
	}' >"$scratch/redis.reads"
	column_before native
	redis_session native || return
	alone_kib=$redis_kib
	set_limit 4
}

# Another value than the key's own is redis-benchmark's: the same everywhere.
redis_verify() {
	redis_ask <"$scratch/redis.reads" | awk -v keys="$redis_keys" '
		$0 == sprintf("%01000d", n * 8) { n++; next }
		length($0) != 1000 { exit }
		other == "" { other = $0 }
		$0 != other { exit }
		{ n++ }
		END { exit n != int((keys + 7) / 8) }'
}

# Leaves redis_rate, requests a second, and redis_kib, the memory it takes.
redis_talk() {
	local i

	for ((i = 0; i < 100; i++)); do
		redis_ask PING >/dev/null 2>&1 && break
		sleep 0.1
	done
	redis_ask --pipe <"$scratch/redis.fill" >"$scratch/err" 2>&1 || failed "filling" || return
	redis-benchmark -s "$scratch/redis.socket" -t set,get -r "$redis_keys" -d 1000 -c 16 \
		-n "$redis_requests" --csv >"$scratch/out" 2>"$scratch/err" ||
		failed "redis-benchmark" || return
	redis_rate=$(awk -F '"' '/^"[SG]ET"/ { t += 1 / $4; n++ } END { if (n == 2) print 2 / t }' \
		"$scratch/out")
	[ -n "$redis_rate" ] || failed "redis-benchmark" || return
	redis_verify || { reason="wrong values"; return 1; }
	redis_kib=$(redis_ask INFO memory | awk -F : '$1 == "used_memory_rss" { print int($2 / 1024) }')
}

# From start to end; the caller has called column_before.
redis_session() {
	local pid result=0 status

	(column_exec "$1" "${command[@]}") >"$scratch/redis.log" 2>&1 </dev/null &
	pid=$!
	own "$pid"
	redis_talk || result=1
	redis_ask SHUTDOWN NOSAVE >/dev/null 2>&1
	wait "$pid" 2>/dev/null
	status=$?
	children=()
	case $status,$1 in
	0,*) ;;
	137,kernel-*) out_of_memory ;;
	*) reason="the server ended with status $status: $(tail -n 1 "$scratch/redis.log")" ;;
	esac
	[ $status -eq 0 ] || result=1
	return $result
}

# redis_run COLUMN
redis_run() {
	local result=0

	column_before "$1"
	redis_session "$1" || result=1
	column_after "$1"
	[ $result -ne 0 ] || figure value "$redis_rate"
	return $result
}

# ---- which is which --------------------------------------------------------

# need NAME...: a program is missing.
need() {
	local program

	for program; do
		command -v "$program" >/dev/null || {
			reason="'$program' is not installed"
			return 1
		}
	done
}

workload_prepare() {
	workload=$1
	mb=$touch_mb
	limit_mb=$touch_limit_mb
	threads=1
	extmem_settings=()
	reason=''
	if is_touches "$1"; then
		threads=${BASH_REMATCH[3]}
		touch_options=(--mb "$mb" --pattern "${BASH_REMATCH[1]}" --op "${BASH_REMATCH[2]}"
			--threads "$threads" --seconds "$seconds")
		return
	fi
	case $1 in
	cyclic-read) mb=$((mb * 2)) policy_touches seq mru 3 ;;
	hotscan-read) mb=$((mb / 4)) policy_touches hotscan s3fifo 6 ;;
	replay-*) replay_touches "${1#replay-}" ;;
	pagerank-csr)
		threads=2 pagerank_prepare
		extmem_settings=(--policy "$srcdir/share/examples/policy/graph-csr.yaml")
		;;
	pagerank-*) threads=${1#pagerank-} pagerank_prepare ;;
	redis) need redis-check-rdb redis-cli redis-benchmark && redis_prepare ;;
	sort) sort_prepare 4 ;;
	sqlite3) need sqlite3 && sqlite_prepare "$(by_size 250000 20000)" &&
		program_prepare 4 sqlite3 :memory: ".read $scratch/script.sql" ;;
	python3) need python3 && python_prepare &&
		program_prepare 4 "$python" "$scratch/dict.py" "$(by_size 400000 50000)" ;;
	resident-sort) sort_prepare resident ;;
	resident-python3) need python3 && python_prepare &&
		program_prepare resident "$python" "$scratch/dict.py" "$(by_size 1000000 50000)" ;;
	resident-xz) need xz && lines_prepare text --mb "$(by_size 4 1)" --words &&
		program_prepare resident xz -6 --stdout "$scratch/text" ;;
	*) special_touches "$1" ;;
	esac
}

# policy_touches PATTERN POLICY SECONDS: one that is made for the pattern, in half the
# memory. What it has to learn first must not be most of the time; a cycle needs no
# learning, and programs go through their data a few times, not for ever.
policy_touches() {
	limit_mb=$((mb / 2))
	extmem_settings=(--policy "$2")
	touch_options=(--mb "$mb" --pattern "$1" --op read --threads 1
		--seconds "$(by_size "$3" "$seconds")")
}

# replay_touches PATTERN: one that is recorded first, for longer, since it is to go faster.
replay_touches() {
	touch_options=(--mb "$mb" --pattern "$1" --op read --threads 1)
	"$extmem" run --limit "${limit_mb}M" --swap "$swap" --record "$scratch/recording" -- \
		"$touch" "${touch_options[@]}" --seconds "$(awk -v s="$seconds" 'BEGIN { print 4 * s }')" \
		>/dev/null 2>"$scratch/err" </dev/null || failed "recording" || return
	touch_options+=(--seconds "$seconds")
	extmem_settings=(--set prefetch.algorithm=replay
		--set prefetch.recording="$scratch/recording")
}

# A third of the limit of fault-* is buffers, as in the floor: 40 MB, touched from
# end to end over and over, then find each page in a buffer, and 28 MB fit.
# Without read-ahead, because runs hide what a fault costs.
special_touches() {
	touch_options=(--op write --seconds "$seconds")
	case $1 in
	first-touch) mb=256 limit_mb=1024 touch_options+=(--pattern fill) ;;
	fault-first) mb=28 limit_mb=48 touch_options+=(--pattern fill) ;;
	fault-soft) mb=40 limit_mb=48 touch_options+=(--pattern seq) ;;
	sparse) mb=32 limit_mb=8 touch_options+=(--pattern random) ;;
	idle) touch_options+=(--pattern idle) ;;
	resident-touch) mb=256 limit_mb=1024 touch_options+=(--pattern random) ;;
	esac
	touch_options+=(--mb "$mb")
	case $1 in
	fault-*) extmem_settings=(--set eviction.algorithm=fifo --set eviction.standby=16M
		--set eviction.granule=64K --set prefetch.readahead=0) ;;
	esac
}

# Leaves figures, or a reason.
workload_run() {
	reason=''
	rm -f "$scratch/stats"
	case $workload in
	pagerank-*) pagerank_run "$1" ;;
	redis) redis_run "$1" ;;
	sort | sqlite3 | python3 | resident-[^t]*) program_run "$1" ;;
	*) touch_run "$1" ;;
	esac || return
	[ "$1" = fio ] || paging_figures "$1"
}
