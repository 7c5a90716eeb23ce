#!/bin/bash
# SPDX-License-Identifier: MIT
# redis-server that forks to save its data in the background while clients keep
# writing: what a server loads from the file is what was there. The writers
# replace values by equal ones, so that any moment's snapshot has the same digest.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools redis-check-rdb redis-cli redis-benchmark
ln -s "$(command -v redis-check-rdb)" "$scratch/redis-server"
keys=$(by_size 25000 400000)
saves=$(by_size 2 10)
socket=$scratch/socket
server_tree=yes
server=("$scratch/redis-server" --port 0 --unixsocket "$socket" --dir "$scratch" --save ''
	--appendonly no --enable-debug-command yes --daemonize no)
fill="local i = redis.call('INCR', 'n')
return redis.call('SET', 'key:' .. i, string.rep(redis.sha1hex(i), 25))"
rewrite="local i = tonumber(ARGV[1]) % $keys + 1
return redis.call('SET', 'key:' .. i, string.rep(redis.sha1hex(i), 25))"

ask() {
	redis-cli -s "$socket" "$@"
}

saved() {
	[ "$(ask INFO persistence | tr -d '\r' |
		grep -c 'rdb_bgsave_in_progress:0\|rdb_last_bgsave_status:ok')" -eq 2 ]
}

save_under_load() {
	local i writer

	redis-benchmark -s "$socket" -c 4 -P 16 -q -n 100000000 -r 1000000000 \
		eval "$rewrite" 0 __rand_int__ >/dev/null 2>&1 &
	writer=$!
	own "$writer"
	for ((i = 0; i < saves; i++)); do
		sleep 0.3
		ask BGSAVE >>"$scratch/saves"
		server_wait saved
	done
	kill "$writer"
	wait "$writer" 2>/dev/null
}

for out in alone managed; do
	rm -f "$scratch/dump.rdb"
	server_start "${server[@]}"
	server_wait ask PING
	redis-benchmark -s "$socket" -c 4 -P 16 -q -n "$keys" eval "$fill" 0 \
		>"$scratch/benchmark.log" 2>&1
	save_under_load
	ask DEBUG DIGEST >"$scratch/$out"
	tap_note "$out: $(cat "$scratch/$out")"
	kib=$(server_kib)
	server_stop ask SHUTDOWN NOSAVE
	[ $out = managed ] || set_limit "$kib"
done
same_output "$scratch/alone" "$scratch/managed" "the digest of the data"
if [ "$(grep -c 'started' "$scratch/saves")" -eq $((2 * saves)) ]; then
	tap_ok "each save was made by a child"
else
	tap_not_ok "each save was made by a child" "$scratch/saves"
fi

# Alone again, with the file that the managed server's child wrote.
managed=()
limit_kib=0
server_start "${server[@]}" --dbfilename dump.rdb
server_wait ask PING
ask DEBUG DIGEST >"$scratch/loaded"
server_stop ask SHUTDOWN NOSAVE
same_output "$scratch/managed" "$scratch/loaded" "the digest of what was saved"
tap_done
