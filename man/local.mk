# SPDX-License-Identifier: MIT
# The manual: one page a command, the file format, the library, the whole.

dist_man_MANS += man/extmem.1 man/extmem-run.1 man/extmem-stat.1 \
	man/extmem-policy.1 man/extmem-dump.1 man/extmem-policy.5 \
	man/extmem-trace.5 man/libextmem.3 man/extmem.7
