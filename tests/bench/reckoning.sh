#!/bin/bash
# SPDX-License-Identifier: MIT
# What report.awk makes of figures that are given: medians, ratios, verdicts.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

figures=$scratch/figures

# figure NAME COLUMN METRIC VALUE...: a round each; "-" is a round without one.
figure() {
	local round=0 value

	for value in "${@:4}"; do
		round=$((round + 1))
		[ "$value" = - ] || printf 'figure\t%s\t%s\t%d\t%s\t%s\n' "$1" "$2" $round "$3" "$value"
	done
}

{
	printf 'about\tversion\textmem "1"\nabout\tmachine\t2 <CPUs> & more\n'
	printf 'workload\tfast\tpages/s\tkernel:1.2 kernel-0:- fio:0.5\t512\t128\n'
	figure fast native value 5000000 5000000 5000000
	figure fast kernel-0 value 100 400 110
	figure fast kernel-3 value 200 200 300
	figure fast extmem value 220 300 420
	figure fast extmem paged_gb 1 2 4
	figure fast extmem cpu_s 2 2 2
	figure fast kernel-3 paged_gb 1 1 1
	figure fast kernel-3 cpu_s 1 3 2
	figure fast fio value 1000 1000 1000
	printf 'workload\tslow\ts\tkernel:1\t100\t25\n'
	figure slow kernel-0 value 10 10 10 10
	figure slow kernel-3 value 6 8 7 9
	figure slow extmem value 4 4 - 12
	printf 'workload\tlone\ts\tkernel:1\t100\t25\nskip\tlone\tkernel-0\tnot root\n'
	figure lone extmem value 3
	printf 'workload\tidle\tus/s\tat-most:500\t10\t5\n'
	figure idle extmem value 700 400 450
	printf 'together\tfast,slow\tkernel\t2\t1.45\n'
} >"$figures"

# report FORM [AWK]
report() {
	"${2:-awk}" -v form="$1" -f "$srcdir/tests/bench/report.awk" "$figures"
}
report table >"$scratch/table"
report json >"$scratch/json"
report svg >"$scratch/svg"

# Debian's own awk is mawk; whoever runs the checks has gawk as well.
same_with() {
	local form

	for form in table json svg; do
		report $form "$1" 2>&1 | diff - "$scratch/$form" || return
	done
}
for other in mawk gawk; do
	if ! command -v $other >/dev/null; then
		tap_skip "$other says the same" "it is not installed"
	elif same_with $other >"$scratch/out"; then
		tap_ok "$other says the same"
	else
		tap_not_ok "$other says the same" "$scratch/out"
	fi
done

# shows NAME PATTERN [FILE]
shows() {
	if grep -Eq -- "$2" "${3:-$scratch/table}"; then
		tap_ok "$1"
	else
		tap_not_ok "$1" "${3:-$scratch/table}"
	fi
}

# The better of the kernel's has the better median: 200, not 110. By rounds the
# ratios are 1.1, 1.5 and 1.4.
shows "median and spread" '^fast +pages/s +5\.00M +200/3 +300 220\.\.420 '
shows "a ratio is the median of the rounds" ' 1\.40 1\.10\.\.1\.50 +kernel +1\.2 +met$'
shows "without a target there is no verdict" ' 2\.20 0\.75\.\.3\.82 +kernel-0 +- *$'
shows "a target that is not met" ' 0\.30 0\.22\.\.0\.42 +fio +0\.5 +NOT MET$'
# Rounds 1, 2 and 4 have both: 6/4, 8/4, 9/12.
shows "less seconds are more speed, missing rounds are left out" \
	'^slow +s +- +7\.50/3 +4\.00 4\.00\.\.12\.0 .* 1\.50 0\.75\.\.2\.00 +kernel +1 +met$'
shows "a ratio without a reference" '^lone .* - +kernel +1 +no figure$'
shows "and its reason" '^without kernel-0: not root \(lone\)$'
shows "a bound of the figure" '^idle .* 450 400\.00\.\.700\.00 +at-most +500 +met$'
shows "so many of several" '^fast,slow: 1 of 2 at 1\.45 times the kernel or more, 2 wanted: NOT MET$'
shows "the sum of the verdicts" '^targets: 3 met, 1 not met, 1 without a figure$'
# 2/1, 2/2 and 2/4 against 1, 3 and 2 seconds a GB.
shows "processor time a GB" '^fast +2\.00 +1\.00 +2\.00$'

if command -v python3 >/dev/null; then
	python3 - "$scratch/json" "$scratch/svg" >"$scratch/out" 2>&1 <<'END'
import json
import sys
import xml.etree.ElementTree

fast, slow, lone, idle = json.load(open(sys.argv[1]))["workloads"]
assert fast["columns"]["extmem"]["value"] == {
    "median": 300, "min": 220, "max": 420, "rounds": [220, 300, 420, None]}, fast
assert fast["columns"]["extmem"]["cpu_s_per_gb"]["median"] == 1, fast
assert [r["column"] for r in fast["ratios"]] == ["kernel-3", "kernel-0", "fio"], fast
assert [r["met"] for r in fast["ratios"]] == [True, None, False], fast
assert fast["ratios"][0]["median"] == 1.4 and fast["ratios"][0]["target"] == 1.2, fast
assert slow["columns"]["extmem"]["value"]["rounds"] == [4, 4, None, 12], slow
assert slow["less_is_better"] and not fast["less_is_better"]
assert lone["skipped"] == {"kernel-0": "not root"}, lone
assert lone["ratios"] == [{"reference": "kernel", "target": 1, "met": None}], lone
assert idle["ratios"][0]["met"] is True, idle
svg = xml.etree.ElementTree.parse(sys.argv[2]).getroot()
bars = [r for r in svg.iter("{http://www.w3.org/2000/svg}rect") if r.get("height") == "12"]
assert [b.get("class") for b in bars] == ["met", "met"], bars
assert float(bars[0].get("width")) < float(bars[1].get("width")), "1.40 is shorter than 1.50"
assert any("2 <CPUs> & more" in (t.text or "") for t in svg.iter()), "escaped"
END
	status=$?
	if [ $status -eq 0 ]; then
		tap_ok "JSON and chart say the same"
	else
		tap_not_ok "JSON and chart say the same" "$scratch/out"
	fi
else
	tap_skip "JSON and chart say the same" "'python3' is not installed"
fi
tap_done
