# SPDX-License-Identifier: MIT
# What a test began is ended with it, and nothing else.

setup() {
	# shellcheck source=tests/lib/children.sh
	. "$BATS_TEST_DIRNAME/children.sh"
	sleep 100 3>&- &
	pid=$!
}

teardown() {
	kill -KILL "$pid" 2>/dev/null || true
}

@test "a child is ended" {
	own "$pid"
	end_children
	! kill -0 "$pid" 2>/dev/null
	[ ${#children[@]} -eq 0 ]
}

@test "another process that has got the pid of one lives on" {
	own "$pid"
	read -r _ start <<<"${children[0]}"
	children=("$pid $((start - 1))")
	end_children
	kill -0 "$pid"
}

@test "what had ended before it was owned is nobody" {
	kill -KILL "$pid"
	wait "$pid" || true
	own "$pid"
	[ "${children[0]}" = "$pid " ]
	end_children
	[ -z "$(start_of "$pid")" ]
}

@test "a process is told by when it began, whatever its name" {
	cp "$(command -v sleep)" "$BATS_TEST_TMPDIR/a) S 1 (b"
	"$BATS_TEST_TMPDIR/a) S 1 (b" 100 3>&- &
	own "$!"
	[ "$(start_of "$!")" -ge "$(start_of "$pid")" ]
	end_children
	! kill -0 "$!" 2>/dev/null
}
