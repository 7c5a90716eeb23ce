#!/bin/bash
# SPDX-License-Identifier: MIT
# PostgreSQL: initdb and its bootstrap, pgbench with four clients, and queries that
# sort, hash and build an index in private memory, which is what is paged; the
# shared buffers are not managed. It refuses to run as root.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

bin=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1)
[ -x "$bin/postgres" ] || tap_skip_all "PostgreSQL is not installed"
chmod 1777 "$scratch" "$swap"
as=()
if [ "$(id -u)" -eq 0 ]; then
	as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	open_tree || tap_skip_all "the build tree could not be copied for user nobody"
fi
export PGUSER=tester PGHOST=$scratch PGDATABASE=postgres LC_ALL=C
rows=$(by_size 200000 3000000)
cd /

psql() {
	"${as[@]}" "$bin/psql" -At
}

# What clients see, as text: money that moved must add up.
talk() {
	"${as[@]}" "$bin/pgbench" -i -q -s 1 >"$scratch/init.log" 2>&1
	"${as[@]}" "$bin/pgbench" -c 4 -j 2 -t "$(by_size 100 5000)" 2>&1 |
		grep -E 'processed|failed'
	psql 2>&1 <<SQL
SELECT (SELECT sum(abalance) FROM pgbench_accounts) = sum(delta), count(*)
  FROM pgbench_history;
SELECT (SELECT sum(bbalance) FROM pgbench_branches) = sum(tbalance) FROM pgbench_tellers;
SELECT md5(string_agg(k::text, ',')) FROM
  (SELECT i::bigint * 7919 % 1000003 k FROM generate_series(1, $rows) i ORDER BY 1) s;
SELECT count(*), sum(n) FROM
  (SELECT i::bigint * 7919 % 100003 k, count(*) n FROM generate_series(1, $rows) i GROUP BY 1) s;
CREATE TABLE t AS SELECT i, md5(i::text) m FROM generate_series(1, $rows / 2) i;
CREATE INDEX ON t (m);
SELECT count(*) FROM t a JOIN t b ON a.m = b.m;
SELECT md5(string_agg(m, '')) FROM (SELECT m FROM t ORDER BY m DESC) s;
SELECT 1 / 0;
SQL
}

# The data lie in a folder of the one who runs the server.
server() {
	echo "$bin/postgres" -D "$scratch/data-$1" -k "$scratch" -c listen_addresses= \
		-c fsync=off -c shared_buffers=16MB -c work_mem=256MB \
		-c maintenance_work_mem=128MB -c max_parallel_workers_per_gather=2
}

server_tree=yes
for out in alone managed; do
	"${managed[@]}" "${as[@]}" "$bin/initdb" -D "$scratch/data-$out" -U tester -N \
		>"$scratch/server.log" 2>&1
	status_verdict $? "$scratch/server.log"
	# One word an argument.
	# shellcheck disable=SC2046
	server_start "${as[@]}" $(server $out)
	server_wait psql -c 'SELECT 1'
	talk >"$scratch/$out"
	server_stop "${as[@]}" "$bin/pg_ctl" -D "$scratch/data-$out" -m fast stop
	if [ $out = alone ]; then
		# Sessions come and go: what shows that it is little for one that
		# sorts in work_mem is that pages leave.
		limit_kib=$limit_min_kib
		tap_note "each process has a limit of $((limit_kib / 1024)) MB"
		managed=("$extmem" run --limit "${limit_kib}K" --swap "$swap"
			"${options[@]}" --)
	fi
done
same_output "$scratch/alone" "$scratch/managed" "what clients see"
tap_done
