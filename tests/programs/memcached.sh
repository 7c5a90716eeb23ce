#!/bin/bash
# SPDX-License-Identifier: MIT
# memcached, filled by four connections at once; each item is read back.
# Its threads sit in epoll and sendmsg with buffers and items of the heap.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools memcached python3
socket=$scratch/socket
server=(memcached -s "$socket" -m 1024 -t 2 -u "$(id -un)")
cat >"$scratch/client.py" <<'END_CLIENT'
import hashlib
import socket
import sys
import threading

path, items = sys.argv[1], int(sys.argv[2])

def value(i):
    return (hashlib.sha256(b"%d" % i).hexdigest() * (1 + i % 40)).encode()

def talk(numbers, send, expect):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    f = s.makefile("rb")
    for at in range(0, len(numbers), 50):
        some = numbers[at:at + 50]
        s.sendall(b"".join(send(i) for i in some))
        for i in some:
            want = expect(i)
            got = f.read(len(want))
            if got != want:
                wrong.append((i, got[:60]))
                return
    s.close()

def all_at_once(send, expect):
    threads = [threading.Thread(target=talk, args=(range(t, items, 4), send, expect))
               for t in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()

wrong = []
all_at_once(lambda i: b"set k%d 0 0 %d\r\n%s\r\n" % (i, len(value(i)), value(i)),
            lambda i: b"STORED\r\n")
all_at_once(lambda i: b"get k%d\r\n" % i,
            lambda i: b"VALUE k%d 0 %d\r\n%s\r\nEND\r\n" % (i, len(value(i)), value(i)))
all_at_once(lambda i: b"append k%d 0 0 4\r\nmore\r\n" % i, lambda i: b"STORED\r\n")
all_at_once(lambda i: b"get k%d\r\n" % i,
            lambda i: b"VALUE k%d 0 %d\r\n%smore\r\nEND\r\n"
            % (i, len(value(i)) + 4, value(i)))
print(items, wrong)
END_CLIENT

for out in alone managed; do
	server_start "${server[@]}"
	server_wait test -S "$socket"
	python3 "$scratch/client.py" "$socket" "$(by_size 20000 300000)" \
		>"$scratch/$out" 2>&1
	kib=$(server_kib)
	server_stop kill "$server_pid"
	[ $out = managed ] || set_limit "$kib"
	rm -f "$socket"
done
if [ "$(sed 's/[0-9]* //' "$scratch/managed")" = "[]" ]; then
	tap_ok "every item could be read back"
else
	tap_not_ok "every item could be read back" "$scratch/managed"
fi
same_output "$scratch/alone" "$scratch/managed" "what the client says"
tap_done
