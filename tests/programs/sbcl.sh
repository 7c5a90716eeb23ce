#!/bin/bash
# SPDX-License-Identifier: MIT
# sbcl: a heap that it reserves and maps by syscall(2) alone, with code in it, at
# another address than its image was made for; SIGSEGV is its write barrier.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools sbcl
cat >"$scratch/work.lisp" <<'END'
(defvar *n* (parse-integer (second *posix-argv*)))
(defvar *h* (make-hash-table :test 'equal))
(dotimes (i *n*)
  (setf (gethash (format nil "k~d" i) *h*) (list i (* i i))))
(defun sum () (loop for v being the hash-values of *h* sum (second v)))
(format t "~d ~d~%" (hash-table-count *h*) (sum))
(format t "~a~%" (funcall (compile nil '(lambda (k) (gethash k *h*))) "k777"))
(gc :full t)
(let ((l (loop for i below *n* collect (mod (* i 7919) 100003))))
  (format t "~d ~d~%" (nth 777 (sort l #'<)) (sum)))
(labels ((deep (i) (+ 1 (deep i))))
  (handler-case (deep 1)
    (storage-condition () (format t "exhausted~%"))))
(let ((threads (loop for k below 3 collect
                 (let ((k k))
                   (sb-thread:make-thread
                     (lambda () (length (loop for i below *n* collect (* i k)))))))))
  (format t "~a~%" (mapcar #'sb-thread:join-thread threads)))
(gc :full t)
(format t "~d~%" (sum))
END
compare sbcl --noinform --no-sysinit --no-userinit --disable-debugger \
	--load "$scratch/work.lisp" --quit --end-toplevel-options "$(by_size 150000 1000000)"
tap_done
