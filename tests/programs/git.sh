#!/bin/bash
# SPDX-License-Identifier: MIT
# git: a history out of fast-import, then index-pack, gc and fsck of it. Packs do
# not depend on who made them: their contents, listed, are compared.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools git awk
export HOME=$scratch GIT_CONFIG_NOSYSTEM=1 LC_ALL=C
awk -v n="$(by_size 3 40)" -v lines="$(by_size 300000 600000)" 'BEGIN {
	for (c = 1; c <= n; c++) {
		printf "commit refs/heads/main\nmark :%d\ncommitter a <a@example.org> %d +0000\n", \
			c, 1700000000 + c
		print "data 1\nx"
		for (f = 0; f < 2; f++) {
			printf "M 644 inline dir%d/file%d\ndata %d\n", c % 3, f, lines * 20
			for (l = 0; l < lines; l++)
				printf "%09d %09d\n", l * 7919 % 100003 + (l % 89 == c), f * l
			print ""
		}
	}
}' >"$scratch/history"
cat >"$scratch/work" <<'END'
set -e
rm -rf "$1"
git init -q --bare -b main "$1"
cd "$1"
git -c fastimport.unpackLimit=0 fast-import --quiet
for pack in objects/pack/*.pack; do
	git index-pack --threads=2 -o "$PWD/again.idx" "$pack" >/dev/null
	git verify-pack "$pack"
done
git -c gc.auto=0 -c pack.threads=2 -c pack.window=20 gc -q --prune=now
git fsck --full --strict
git rev-list --all --objects | sort | tail -n 2000
git count-objects -v | grep -v size
git log --stat | sha256sum
END
input=$scratch/history
run_alone "$scratch/alone" bash "$scratch/work" "$scratch/repository"
rm -rf "$scratch/repository"
run_tree "$scratch/managed" bash "$scratch/work" "$scratch/repository"
same_output "$scratch/alone" "$scratch/managed"
tap_done
