# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
#
# columns.sh: the ways in which the benchmark runs a program.
#
#	native     alone
#	kernel-N   under the kernel's own swap: a memory cgroup with the limit, a
#	           swap file made for the run, vm.page-cluster at N
#	extmem     under extmem
#	other      under the extmem of another build tree (--against)
#	extmem-1g  the same; see the workload "sparse"
#	extmem-lru under extmem's default policy, where the workload has one of its own
#	floor      paging itself with the least that works (tests/bench/floor.c)
#	fio        not a program: what the disk does for the same pattern
#
#	column_reason COLUMN           prints why it cannot be had, where it cannot
#	column_before COLUMN           before a run, in $limit_mb
#	column_exec COLUMN COMMAND...  becomes the command, and leaves $scratch/measured
#	column_after COLUMN            after it; of the run between the two:
#	column_cpu_seconds COLUMN, column_paged_gb COLUMN
#	kernel_set_up, kernel_undo

swap_file=''
cgroup=''
cgroup_root=''
cgroup_controller=''
kernel_missing=''
page_cluster=/proc/sys/vm/page-cluster
page_cluster_was=$(cat $page_cluster)

# ---- the kernel's own swap -------------------------------------------------

# Where groups are made, and which file holds the limit (version 1 or 2).
find_cgroup() {
	cgroup_root=$(awk '$3 == "cgroup" && $4 ~ /(^|,)memory(,|$)/ { print $2; exit }' /proc/mounts)
	cgroup_limit=memory.limit_in_bytes
	[ -z "$cgroup_root" ] || return 0
	cgroup_root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	cgroup_limit=memory.max
	[ -n "$cgroup_root" ] && grep -qsw memory "$cgroup_root/cgroup.controllers" || {
		echo "no memory cgroup is mounted"
		return 1
	}
	grep -qw memory "$cgroup_root/cgroup.subtree_control" && return
	echo +memory >"$cgroup_root/cgroup.subtree_control" || return
	cgroup_controller=$cgroup_root/cgroup.subtree_control
}

make_cgroup() {
	find_cgroup && mkdir "$cgroup_root/extmem-bench.$$" || return
	cgroup=$cgroup_root/extmem-bench.$$
}

# Before all others that may be in use.
make_swap_file() {
	swap_file=$(mktemp "$swap/extmem-bench-swap.XXXXXX") || return
	chmod 600 "$swap_file" &&
		fallocate -l "$swap_mb"M "$swap_file" &&
		mkswap "$swap_file" >/dev/null && swapon -p 32767 "$swap_file"
}

# Sets kernel_missing to the reason, where there is one.
kernel_set_up() {
	if [ "$(id -u)" -ne 0 ]; then
		kernel_missing="not root"
	elif ! make_cgroup >"$scratch/why" 2>&1 || ! make_swap_file >"$scratch/why" 2>&1; then
		kernel_missing=$(tail -n 1 "$scratch/why")
		: "${kernel_missing:=it cannot be set up}"
	fi
}

# Whatever of it there is; also after a failure half-way, or a signal.
kernel_undo() {
	local i

	if [ "$(cat $page_cluster)" != "$page_cluster_was" ]; then
		echo "$page_cluster_was" >$page_cluster
	fi
	if [ -n "$swap_file" ]; then
		swapoff "$swap_file" 2>/dev/null
		rm -f "$swap_file"
	fi
	# A process that has ended may be in it for a moment more.
	if [ -n "$cgroup" ]; then
		for ((i = 0; i < 50; i++)); do
			rmdir "$cgroup" 2>/dev/null && break
			sleep 0.1
		done
	fi
	[ -z "$cgroup_controller" ] || echo -memory >"$cgroup_controller"
}

kswapd_ticks() {
	local stat sum=0

	for stat in /proc/[0-9]*/stat; do
		case $(head -c 64 "$stat" 2>/dev/null) in
		*" (kswapd"*) sum=$((sum + $(awk '{ print $14 + $15 }' "$stat"))) ;;
		esac
	done
	echo $sum
}

pages_swapped() {
	awk '$1 == "pswpin" || $1 == "pswpout" { n += $2 } END { print n + 0 }' /proc/vmstat
}

# ---- all columns -----------------------------------------------------------

column_reason() {
	case $1 in
	kernel-*) echo "$kernel_missing" ;;
	fio) command -v fio >/dev/null || echo "fio is not installed" ;;
	esac
}

# In a subshell or a child of its own. What a group is charged with includes
# measure, which is small.
column_exec() {
	local column=$1

	shift
	case $column in
	kernel-*) echo "$BASHPID" >"$cgroup/cgroup.procs" || return ;;
	extmem*) set -- "$extmem" run "${extmem_options[@]}" -- "$@" ;;
	other) set -- "$against/extmem" run "${extmem_options[@]}" -- "$@" ;;
	floor) set -- "$@" --floor "$limit_mb" --swap "$swap" ;;
	esac
	exec "$measure" "$scratch/measured" "$@"
}

column_before() {
	rm -f "$scratch/stats" "$scratch/measured"
	case $1 in
	kernel-*)
		echo "${1#kernel-}" >$page_cluster
		echo $((limit_mb << 20)) >"$cgroup/$cgroup_limit"
		kswapd_before=$(kswapd_ticks)
		swapped_before=$(pages_swapped)
		;;
	extmem* | other)
		extmem_options=(--limit "${limit_mb}M" --swap "$swap" --stats "$scratch/stats"
			${policy:+--policy "$policy"})
		[ "$1" = extmem-lru ] || extmem_options+=("${extmem_settings[@]}")
		;;
	esac
}

column_after() {
	case $1 in
	kernel-*)
		kswapd_after=$(kswapd_ticks)
		swapped_after=$(pages_swapped)
		echo "$page_cluster_was" >$page_cluster
		;;
	esac
}

# What measure saw, and what the kernel's thread did beside it.
column_cpu_seconds() {
	local ticks=0

	case $1 in
	kernel-*) ticks=$((kswapd_after - kswapd_before)) ;;
	esac
	awk -v ticks=$ticks -v hz="$(getconf CLK_TCK)" '{ print $3 + ticks / hz }' \
		"$scratch/measured"
}

# Read and written together, in GB; nothing where nobody counts.
column_paged_gb() {
	case $1 in
	kernel-*) awk -v n=$((swapped_after - swapped_before)) 'BEGIN { print n * 4096 / 1e9 }' ;;
	extmem* | other)
		awk -v r="$(json_number bytes_read <"$scratch/stats")" \
			-v w="$(json_number bytes_written <"$scratch/stats")" \
			'BEGIN { print (r + w) / 1e9 }'
		;;
	esac
}
