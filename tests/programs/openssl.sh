#!/bin/bash
# SPDX-License-Identifier: MIT
# openssl signs a large message, which it holds in memory, and verifies it.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools openssl
"$builddir/tests/lib/lines" --mb "$(by_size 12 200)" >"$scratch/message"
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 2 -keyout "$scratch/key" \
	-out "$scratch/cert" 2>/dev/null
compare openssl cms -sign -binary -nodetach -noattr -outform DER -md sha256 \
	-in "$scratch/message" -signer "$scratch/cert" -inkey "$scratch/key"
run_alone "$scratch/alone.txt" openssl cms -verify -binary -noverify -inform DER \
	-in "$scratch/alone"
run_managed "$scratch/managed.txt" openssl cms -verify -binary -noverify -inform DER \
	-in "$scratch/managed"
same_output "$scratch/message" "$scratch/managed.txt" "the verified message"
tap_done
