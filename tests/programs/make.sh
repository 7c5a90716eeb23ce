#!/bin/bash
# SPDX-License-Identifier: MIT
# make -j with a hundred short children: what it and its shells do is not worth
# paging, so one in ten (in the short form, in twenty-five) sorts a large piece, in
# less memory than that takes.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools make
export LC_ALL=C
outputs=$(by_size 100 1000)
large=$(by_size 25 10)
"$builddir/tests/lib/lines" --mb 24 >"$scratch/lines"
cat >"$scratch/Makefile" <<'END'
SHELL = /bin/bash
outputs = $(addprefix $(DIR)/out,$(shell seq $(CHILDREN)))
all: $(outputs)
	@cat $(outputs) | sha256sum
$(outputs): $(DIR)/out%:
	@tail -n +$* $(LINES) | head -n $$(($* % $(LARGE) ? 1000 : 380000)) | sort -S 96M >$@
END
mkdir "$scratch/dir"
command=(make -s -j4 -f "$scratch/Makefile" DIR="$scratch/dir" LINES="$scratch/lines"
	CHILDREN="$outputs" LARGE="$large")
run_alone "$scratch/alone" "${command[@]}"
rm "$scratch/dir"/*
run_tree "$scratch/managed" "${command[@]}"
same_output "$scratch/alone" "$scratch/managed"
tap_done
