#!/bin/bash
# SPDX-License-Identifier: MIT
# sqlite3 with a database in memory: rows, an index, and queries over both.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools sqlite3
input=$scratch/script.sql
cat >"$input" <<END
CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, name TEXT, body TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
  WHERE i < $(by_size 100000 1000000))
INSERT INTO t SELECT i, (i * 2654435761) % 4294967291,
  printf('%08x', (i * 40503) % 4294967291),
  printf('%.100c', char(97 + i % 26)) || i FROM n;
CREATE INDEX t_k ON t (k);
SELECT count(*), sum(k), min(name), max(body) FROM t;
SELECT id, k, name FROM t ORDER BY k;
UPDATE t SET body = name || body WHERE k % 7 = 0;
DELETE FROM t WHERE k % 11 = 0;
SELECT k % 100, count(*), sum(length(body)) FROM t GROUP BY 1 ORDER BY 1;
SELECT id, body FROM t WHERE k BETWEEN 1000000000 AND 1400000000 ORDER BY k;
PRAGMA integrity_check;
END
run_alone "$scratch/alone" sqlite3 :memory:
run_managed "$scratch/managed" sqlite3 :memory:
same_output "$scratch/alone" "$scratch/managed"
tap_done
