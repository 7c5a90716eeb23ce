#!/bin/bash
# SPDX-License-Identifier: MIT
# nginx, which compresses what it gets from itself as a proxy. Its buffers are
# large, its sockets do not block, and epoll tells it of edges: a read that falls
# short says that there is no more to read.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools nginx curl
requests=$(by_size 4 40)
clients=4
mkdir "$scratch/www"
"$builddir/tests/lib/lines" --mb 4 >"$scratch/www/file"
cat >"$scratch/conf" <<END
daemon off; worker_processes 1; pid $scratch/pid; error_log $scratch/error.log;
user $(id -un) $(id -gn);
events { }
http {
	access_log off;
	client_body_temp_path $scratch/t1; proxy_temp_path $scratch/t2;
	fastcgi_temp_path $scratch/t3; uwsgi_temp_path $scratch/t4; scgi_temp_path $scratch/t5;
	gzip on; gzip_types *; gzip_buffers 512 32k;
	output_buffers 4 4m; sendfile off; aio threads;
	proxy_buffers 64 64k; proxy_buffer_size 64k; proxy_busy_buffers_size 128k;
	proxy_max_temp_file_size 0;
	server {
		listen unix:$scratch/socket;
		root $scratch/www;
		location /proxy/ { proxy_pass http://unix:$scratch/socket:/; }
	}
}
END

ask() {
	curl -s --compressed --max-time 60 --unix-socket "$scratch/socket" "http://x/$1"
}

# fetch OUT: what each client gets, as one sum a line.
fetch() {
	local i pids

	for ((i = 0; i < requests; i++)); do
		pids=()
		for ((client = 0; client < clients; client++)); do
			{ ask proxy/file | cksum; ask file | cksum; } >"$scratch/got.$client" &
			pids+=($!)
		done
		wait "${pids[@]}"
		cat "$scratch"/got.*
	done >"$1"
}

server_tree=yes
for out in alone managed; do
	server_start nginx -c "$scratch/conf" -p "$scratch" -e "$scratch/error.log"
	server_wait ask none
	fetch "$scratch/$out"
	kib=0
	for pid in $(pgrep -P "$server_pid"); do
		kib=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
	done
	server_stop kill -QUIT "$server_pid"
	[ $out = managed ] || set_limit "$kib"
done
if [ "$(sort -u "$scratch/alone")" = "$(cksum <"$scratch/www/file")" ]; then
	tap_ok "the clients get the file"
else
	tap_not_ok "the clients get the file" "$scratch/alone"
fi
same_output "$scratch/alone" "$scratch/managed" "what the clients get"
tap_done
