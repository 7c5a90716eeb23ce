#!/bin/bash
# SPDX-License-Identifier: MIT
# jq over one large JSON text.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools jq
awk -v n="$(by_size 24000 600000)" 'BEGIN { printf "["
	for (i = 0; i < n; i++)
		printf "%s{\"id\":%d,\"k\":%d,\"name\":\"n%d\",\"list\":[%d,%d,[%d]]}", \
			i ? "," : "", i, i * 7919 % 10007, i % 97, i, i + 1, i * 2
	print "]" }' >"$scratch/json"
compare jq -c 'sort_by(.k, .id) | group_by(.name)[] | {n: length, s: map(.list[2][0]) | add,
	first: .[0], last: .[-1]}' "$scratch/json"
tap_done
