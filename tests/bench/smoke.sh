#!/bin/bash
# SPDX-License-Identifier: MIT
# The benchmark runs everywhere, and what it writes is well-formed: every
# workload has a figure or a reason. How good the figures are is not for a test.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

need_extmem
need_tools python3

bench=$srcdir/tests/bench/run
swaps() {
	awk '{ print $1 }' /proc/swaps # how full each is may change meanwhile
	cat /proc/sys/vm/page-cluster
	find /sys/fs/cgroup -maxdepth 2 -name 'extmem-bench.*'
	find /var/tmp -maxdepth 1 -name 'extmem-bench-*'
}

# well_formed WORKLOADS COLUMN...: of $scratch/json and $scratch/svg.
cat >"$scratch/check.py" <<'END'
import json
import sys
import xml.etree.ElementTree

xml.etree.ElementTree.parse(sys.argv[2])
with open(sys.argv[1]) as f:
    bench = json.load(f)
names = [w["name"] for w in bench["workloads"]]
wanted = sys.argv[3].split()
if names != wanted:
    sys.exit("workloads are %s, wanted %s" % (names, wanted))
for w in bench["workloads"]:
    for column in sys.argv[4:]:
        value = w["columns"].get(column, {}).get("value")
        if value:
            if not 0 < value["min"] <= value["median"] <= value["max"]:
                sys.exit("%s, %s: %s" % (w["name"], column, value))
        elif column == "extmem" or not w["skipped"].get(column):
            sys.exit("%s has neither a figure nor a reason for %s" % (w["name"], column))
END
well_formed() {
	python3 "$scratch/check.py" "$scratch/json" "$scratch/svg" "$@" >>"$scratch/out" 2>&1
}

# is NAME COMMAND...: the command succeeds.
is() {
	local name=$1

	shift
	if "$@"; then
		tap_ok "$name"
	else
		tap_not_ok "$name" "$scratch/out"
	fi
}

quick() {
	"$@" --quick --json "$scratch/json" --svg "$scratch/svg" >"$scratch/out" 2>&1
}

before=$(swaps)

# The kernel's columns change settings of the machine: one workload has them.
is "all workloads run" quick "$bench" --columns native,extmem,extmem-1g,floor
is "JSON and chart hold all of them" well_formed "$("$bench" --list | awk '{ print $1 }' | xargs)" extmem
is "extmem, the disk and the kernel's swap" quick "$bench" --only random-write-16,redis
is "each has a figure or a reason" well_formed "random-write-16 redis" native extmem kernel-0 kernel-3
is "nothing is left of it" [ "$before" = "$(swaps)" ]

# Ended half-way, it puts back what it changed.
"$bench" --only random-write-1 --columns kernel,extmem --seconds 30 --mb 64 >"$scratch/out" 2>&1 &
pid=$!
own "$pid"
sleep 2
kill -TERM "$pid"
wait "$pid"
is "ends with the signal's status" [ $? -eq 143 ]
is "nothing is left when it is ended half-way" [ "$before" = "$(swaps)" ]

open_tree || tap_bail "cannot copy the build"
unprivileged() {
	quick as_nobody env EXTMEM="$extmem" EM_BUILDDIR="$builddir" "$@"
}
if as_nobody test -x "$builddir/tests/bench/touch" -a -r "$bench"; then
	: >"$scratch/json" && : >"$scratch/svg" && chmod 666 "$scratch/json" "$scratch/svg"
	is "runs for any user" unprivileged "$bench" --only random-write-1,sort
	is "and says why there is no kernel's swap" well_formed "random-write-1 sort" extmem kernel-0
else
	tap_skip "runs for any user" "the build is closed to other users"
fi
tap_done
