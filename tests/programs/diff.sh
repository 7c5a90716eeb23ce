#!/bin/bash
# SPDX-License-Identifier: MIT
# diff of two large files, which it reads whole.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

"$builddir/tests/lib/lines" --mb "$(by_size 20 200)" >"$scratch/a"
awk 'NR % 1013 == 0 { print "changed", $0; next } NR % 2027 == 0 { next } { print }' \
	"$scratch/a" >"$scratch/b"
cat >"$scratch/work" <<'END'
diff "$1" "$2"
[ $? -eq 1 ]
END
compare_tree bash "$scratch/work" "$scratch/a" "$scratch/b"
tap_done
