#!/bin/bash
# SPDX-License-Identifier: MIT
# java with the heap it chooses by itself: threads, a collection, and the faults
# that the virtual machine makes on purpose (null pointers, stack overflow).

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools java
cat >"$scratch/Work.java" <<'END'
import java.util.*;
import java.util.stream.*;

public class Work {
	static final class Node {
		Node next;
		long[] data = new long[16];
		Node(Node n, long v) { next = n; data[0] = v; }
	}

	static int deep(int i) { return deep(i + 1) + 1; }

	static long lists(int n, int k) {
		long sum = 0;
		for (int round = 0; round < 5; round++) {
			Node head = null;
			for (int i = 0; i < n / 4; i++)
				head = new Node(head, (long) i * k);
			for (Node p = head; p != null; p = p.next)
				sum += p.data[0];
		}
		return sum;
	}

	public static void main(String[] args) throws Exception {
		int n = Integer.parseInt(args[0]);
		Map<String, Long> map = new HashMap<>();
		for (int i = 0; i < n; i++)
			map.put("key" + i, (long) i * i);
		System.out.println(IntStream.range(0, n).mapToLong(i -> map.get("key" + i)).sum());
		long[] out = new long[4];
		Thread[] threads = new Thread[4];
		for (int t = 0; t < 4; t++) {
			final int k = t;
			threads[t] = new Thread(() -> out[k] = lists(n, k));
			threads[t].start();
		}
		for (Thread t : threads)
			t.join();
		System.out.println(Arrays.toString(out));
		try { deep(0); } catch (StackOverflowError e) { System.out.println("overflow"); }
		String none = args.length > 9 ? "" : null;
		try { none.length(); } catch (NullPointerException e) { System.out.println("null"); }
		System.gc();
		System.out.println(map.size() + " " + map.get("key77"));
	}
}
END
compare java "$scratch/Work.java" "$(by_size 60000 1500000)"
tap_done
