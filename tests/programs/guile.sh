#!/bin/bash
# SPDX-License-Identifier: MIT
# guile: libgc stops the threads by a signal and looks through their stacks,
# also while they wait inside libc for what lies on the heap.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools guile
cat >"$scratch/work.scm" <<'END'
(use-modules (ice-9 threads) (srfi srfi-1))
(define n (string->number (cadr (command-line))))
(define table (make-hash-table))
(do ((i 0 (+ i 1))) ((= i n))
  (hash-set! table (modulo (* i 7919) 1000003) (make-string 20 #\a)))
(display (hash-count (const #t) table)) (newline)
(define keys (sort (hash-map->list (lambda (k v) k) table) <))
(display (list-ref keys (quotient n 3))) (newline)
(display (apply + (par-map (lambda (x) (length (iota (quotient n x)))) '(1 2 3 4 5 6))))
(newline)
(define mutex (make-mutex))
(define condition (make-condition-variable))
(define turn 0)
(define (take-turns id)
  (call-with-new-thread
    (lambda ()
      (let loop ((i 0) (sum 0))
        (if (= i 20)
            sum
            (begin
              (with-mutex mutex
                (let wait ()
                  (unless (= (modulo turn 3) id)
                    (wait-condition-variable condition mutex)
                    (wait)))
                (set! turn (+ turn 1))
                (broadcast-condition-variable condition))
              (loop (+ i 1) (+ sum (length (iota 5000))))))))))
(display (map join-thread (map take-turns '(0 1 2)))) (newline)
(gc)
(display (fold + 0 (hash-map->list (lambda (k v) (+ k (string-length v))) table)))
(newline)
END
export GUILE_AUTO_COMPILE=0
compare guile --no-auto-compile "$scratch/work.scm" "$(by_size 150000 1000000)"
tap_done
