# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# children.sh: the processes that a test began, so that none outlives it and no
# other one is ended. A shell collects its children on its own, and pids are used
# again within minutes where many programs start: a child is its pid and the time
# at which it began.

children=()

# start_of PID: in clock ticks since the machine's own; nothing when there is none.
start_of() {
	local line

	{ read -r line <"/proc/$1/stat"; } 2>/dev/null || return 0
	# shellcheck disable=SC2086 # what follows the name, as words
	set -- ${line##*) }
	echo "${20}"
}

# own PID: ended by end_children, unless it ends before; ${children[-1]} until then.
own() {
	children+=("$1 $(start_of "$1")")
}

# end_child CHILD
end_child() {
	local pid start

	read -r pid start <<<"$1"
	[ -n "$start" ] && [ "$start" = "$(start_of "$pid")" ] || return 0
	kill -KILL "$pid" 2>/dev/null || return 0
	wait "$pid" 2>/dev/null || true
}

end_children() {
	local child

	for child in "${children[@]}"; do
		end_child "$child"
	done
	children=()
}
