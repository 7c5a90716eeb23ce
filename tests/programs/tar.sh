#!/bin/bash
# SPDX-License-Identifier: MIT
# tar of some thousand files, sorted and packed by a child, and unpacked again.
# Its tables of names are what is paged.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools tar zstd
export LC_ALL=C
mkdir "$scratch/tree"
(cd "$scratch/tree" && awk -v n="$(by_size 3000 40000)" 'BEGIN { for (i = 0; i < n; i++) {
	f = sprintf("file-with-a-long-name-%060d", i); print i, i * i > f; close(f) } }')
cat >"$scratch/work" <<'END'
set -e
tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - tree |
	zstd -q -T2 --long=27 -12 >"$1/tree.tar.zst"
rm -rf "$1/out"
mkdir "$1/out"
zstd -q -d --long=27 --stdout "$1/tree.tar.zst" | tar -C "$1/out" -xf -
diff -r "$1/tree" "$1/out/tree"
sha256sum <"$1/tree.tar.zst"
END
compare_tree bash "$scratch/work" "$scratch"
tap_done
