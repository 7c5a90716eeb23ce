#!/bin/bash
# SPDX-License-Identifier: MIT
# php: arrays, whose allocator wants aligned chunks and trims what mmap gives.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools php
cat >"$scratch/work.php" <<'END'
<?php
ini_set("memory_limit", "-1");
$n = (int)$argv[1];
for ($i = 0; $i < $n; $i++)
	$a["key$i"] = [$i, str_repeat("x", $i % 40), $i * 7919 % 10007];
uasort($a, fn($x, $y) => [$x[2], $x[0]] <=> [$y[2], $y[0]]);
$s = serialize($a);
echo strlen($s), " ", md5($s), " ", unserialize($s) === $a ? "same" : "different", "\n";
foreach (array_chunk($a, 997) as $chunk)
	echo json_encode($chunk[0]), "\n";
END
compare php -n "$scratch/work.php" "$(by_size 25000 1000000)"
tap_done
