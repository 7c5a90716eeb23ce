#!/bin/bash
# SPDX-License-Identifier: MIT
# clang compiling a generated C file. Its program text, which is not managed, is
# most of its footprint.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools clang awk
c_functions "$(by_size 1500 12000)" >"$scratch/large.c"
compare clang -O1 -S -o - "$scratch/large.c"
tap_done
