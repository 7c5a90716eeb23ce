# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
#
# common.sh: what the test scripts share: where things are, TAP, a scratch
# folder that goes away, background programs that go away, and figures out of
# the JSON of `extmem stat` and `extmem run --stats`.
#
# EXTMEM names the command under test and EM_BUILDDIR the build tree; by
# default build/ beside the sources.

srcdir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
builddir=${EM_BUILDDIR:-$srcdir/build}
extmem=${EXTMEM:-$builddir/extmem}
measure=$builddir/tests/lib/measure

# shellcheck source=tests/lib/children.sh
. "$srcdir/tests/lib/children.sh"

# ---- TAP -------------------------------------------------------------------

tap_count=0
tap_failures=0

tap_ok() {
	tap_count=$((tap_count + 1))
	printf 'ok %d - %s\n' "$tap_count" "$1"
}

# tap_not_ok NAME [WHY-FILE]: the file's last lines become diagnostics.
tap_not_ok() {
	tap_count=$((tap_count + 1))
	tap_failures=$((tap_failures + 1))
	printf 'not ok %d - %s\n' "$tap_count" "$1"
	[ -z "${2:-}" ] || ! [ -r "$2" ] || tail -n 20 "$2" | sed 's/^/# /'
}

tap_skip() {
	tap_count=$((tap_count + 1))
	printf 'ok %d - %s # SKIP %s\n' "$tap_count" "$1" "$2"
}

tap_note() {
	printf '# %s\n' "$*"
}

# Ends the script.
tap_done() {
	printf '1..%d\n' "$tap_count"
	exit $((tap_failures > 0))
}

tap_skip_all() {
	printf '1..0 # SKIP %s\n' "$1"
	exit 0
}

tap_bail() {
	printf 'Bail out! %s\n' "$1"
	exit 1
}

# ---- a place ---------------------------------------------------------------

# On a disk: swap files on a RAM file system are refused, with reason.
scratch=$(mktemp -d /var/tmp/extmem-test.XXXXXX) || exit 1
chmod 755 "$scratch"

cleanup() {
	end_children
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- extmem ----------------------------------------------------------------

# Skips everything where the kernel offers no userfaultfd; a command that
# fails for another reason is a failure.
need_extmem() {
	local why

	[ -x "$extmem" ] || tap_bail "there is no '$extmem': build first"
	why=$("$extmem" run --swap "$scratch" -- true 2>&1) && return
	case $why in
	*userfaultfd*) tap_skip_all "$why" ;;
	*) tap_bail "'extmem run true' failed: $why" ;;
	esac
}

# need_tools NAME...: skips everything when one is not there.
need_tools() {
	local tool

	for tool; do
		command -v "$tool" >/dev/null || tap_skip_all "'$tool' is not installed"
	done
}

# json_number KEY <JSON: the first level's number of that name, or nothing.
json_number() {
	sed -n 's/.*"'"$1"'": *\([0-9][0-9]*\).*/\1/p' | head -n 1
}

# as_nobody COMMAND...: without any privilege, in a folder it may enter.
as_nobody() {
	(cd / && exec setpriv --reuid=65534 --regid=65534 --clear-groups \
		--inh-caps=-all --bounding-set=-all --no-new-privs "$@")
}

# A clone in /root is closed to others: what runs is copied to where it is not.
open_tree() {
	local tree=$scratch/tree

	as_nobody test -x "$extmem" -a -r "$builddir/lib/.libs/libextmem.so" && return
	mkdir "$tree" &&
		cp "$extmem" "$builddir"/lib/.libs/libextmem.so "$tree" &&
		cp -r "$builddir/cmd" "$srcdir/share/policies" "$tree" &&
		chmod -R go+rX "$tree" || return
	extmem=$tree/extmem
	export EXTMEM_EXEC_PATH=$tree/cmd EXTMEM_LIBRARY=$tree/libextmem.so
	export EXTMEM_POLICY_PATH=$tree/policies
}

# open_program PROGRAM: where user nobody can run it, after open_tree.
open_program() {
	if as_nobody test -x "$1"; then
		echo "$1"
	else
		cp "$1" "$scratch/tree" && echo "$scratch/tree/$(basename "$1")"
	fi
}

# ---- figures ---------------------------------------------------------------

# median FILE: of its lines; "-" when there are none.
median() {
	grep . "$1" 2>/dev/null | sort -n |
		awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "-" }'
}

# ratio A B: "1.25"; "-" when one of them is none.
ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN {
		if (a == "-" || b == "-" || !b) print "-"
		else printf "%.2f\n", a / b
	}'
}
