#!/bin/bash
# SPDX-License-Identifier: MIT
# bash: an array that is built and sorted, pipelines, process and command
# substitutions, here documents, a background job.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

cat >"$scratch/script" <<'END'
declare -A seen
n=$1
for ((i = 0; i < n; i++)); do
	list[i]="entry $((i * 7919 % 100003)) ${list[i / 2]:0:200}"
	seen[${list[i]:0:12}]=$i
done
printf '%s\n' "${list[@]}" | sort -k2n | uniq -c | awk '{ s += $1 } END { print NR, s }'
printf '%s\n' "${!seen[@]}" | sort | sha256sum
copy=("${list[@]}")
whole=$(printf '%s,' "${copy[@]}")
echo ${#whole}
diff <(printf '%s\n' "${list[@]}" | sort) <(printf '%s\n' "${copy[@]}" | sort -r | tac) &&
	echo same
for ((i = 0; i < 30; i++)); do
	x=$(echo "${list[i * 10]}" | tr a-z A-Z | cut -c 1-20 | rev)
	(exit $((i % 3))) || echo "$? $x"
done
sleep 0.1 &
wait $!
cat <<EOT | wc -c
$whole
EOT
END
compare_tree bash "$scratch/script" "$(by_size 20000 150000)"
tap_done
