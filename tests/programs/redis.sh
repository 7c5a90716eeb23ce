#!/bin/bash
# SPDX-License-Identifier: MIT
# redis-server, filled by redis-benchmark; a client reads every key back.
#
# What redis-benchmark sends in what order differs from run to run, so each of
# its requests makes the server count one up and store a value that follows
# from the count: the final contents are always the same.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

# The server is the same binary as redis-check-rdb under another name; Debian's
# redis-server package would also start a server that nobody asked for.
need_tools redis-check-rdb redis-cli redis-benchmark
ln -s "$(command -v redis-check-rdb)" "$scratch/redis-server"
keys=$(by_size 50000 400000)
socket=$scratch/socket
lua="local i = redis.call('INCR', 'n')
return redis.call('SET', 'key:' .. i, string.rep(redis.sha1hex(i), 25))"
server=("$scratch/redis-server" --port 0 --unixsocket "$socket" --dir "$scratch" --save ''
	--appendonly no --enable-debug-command yes --daemonize no)

awk -v keys="$keys" 'BEGIN {
	for (i = 1; i <= keys; i += 10) {
		printf "MGET"
		for (k = i; k < i + 10; k++)
			printf " key:%d", k
		print ""
	}
}' >"$scratch/reads"

ask() {
	redis-cli -s "$socket" "$@"
}

# fill_and_read OUT: everything a client can see, as text.
fill_and_read() {
	redis-benchmark -s "$socket" -c 8 -P 16 -n "$keys" -q eval "$lua" 0 \
		>"$scratch/benchmark.log" 2>&1
	ask <"$scratch/reads" >"$1"
	{ ask DBSIZE; ask DEBUG DIGEST; } >>"$1"
}

for out in alone managed; do
	server_start "${server[@]}"
	server_wait ask PING
	fill_and_read "$scratch/$out"
	kib=$(server_kib)
	server_stop ask SHUTDOWN NOSAVE
	[ $out = managed ] || set_limit "$kib"
done
if grep -q "^key:\|^$" "$scratch/alone" || [ "$(grep -c . "$scratch/alone")" -lt "$keys" ]; then
	tap_not_ok "every key could be read back" "$scratch/alone"
else
	tap_ok "every key could be read back"
fi
same_output "$scratch/alone" "$scratch/managed" "what the client reads"
tap_done
