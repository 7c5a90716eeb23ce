#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fuzz/corpus.sh: the readers of traces, of what is replayed, of policies and of
# what a running process is sent, on the corpus, and on thousands of changes of it. EM_TEST_SEED takes a printed seed back; make fuzz
# lets libFuzzer search.

set -u
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

seed=${EM_TEST_SEED:-$RANDOM$RANDOM}
tap_note "EM_TEST_SEED=$seed"

# check TARGET COUNT FILE...
check() {
	local target=$1 count=$2

	shift 2
	if "$builddir/tests/fuzz/replay_$target" "$seed" "$count" "$@" >"$scratch/log" 2>&1; then
		tap_ok "$target: $# files and $count changes"
	else
		echo "status $?" >>"$scratch/log"
		tap_not_ok "$target: $# files and $count changes" "$scratch/log"
	fi
}

check trace 20000 "$srcdir"/tests/fuzz/corpus/trace/*
check load 20000 "$srcdir"/tests/fuzz/corpus/trace/*
check yaml 4000 "$srcdir"/tests/fuzz/corpus/yaml/* "$srcdir"/share/policies/*.yaml \
	"$srcdir"/share/examples/policy/*.yaml
check lines 20000 "$srcdir"/tests/fuzz/corpus/lines/*
tap_done
