#!/bin/bash
# SPDX-License-Identifier: MIT
#
# policies/recorded.sh: traces of two real programs, recorded here and now, are
# replayed by the simulator as by the models (recorded.py): sort, whose merge
# goes through memory in order, and sqlite3, which looks up keys by chance.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

need_tools python3 perl sort sqlite3
need_extmem

# record NAME COMMAND...: small granules, so that there are many of them.
record() {
	local name=$1

	shift
	"$extmem" run --limit 8M --swap "$scratch" --trace "$scratch/$name" \
		--set eviction.granule=16K -- "$@" >"$scratch/out" 2>"$scratch/err" ||
		tap_bail "$name failed: $(head -n 3 "$scratch/err")"
}

perl -e 'srand 1; print int(rand(1e9)), "\n" for 1 .. 250000' >"$scratch/lines"
record sort "$(command -v sort)" -n -S 40M --parallel=1 -o "$scratch/sorted" "$scratch/lines"

cat >"$scratch/sql" <<'SQL'
PRAGMA cache_size = -20000;
CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
	INSERT INTO t SELECT i, printf('%0120d', i) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
	SELECT sum(length(v)) FROM n JOIN t ON k = (i * 7919) % 60000 + 1;
SQL
record sqlite3 "$(command -v sqlite3)" -init "$scratch/sql" :memory: .quit

python3 "$srcdir/tests/policies/recorded.py" "$extmem" "$builddir/tests/policies/driver" \
	"$scratch/sort" "$scratch/sqlite3"
