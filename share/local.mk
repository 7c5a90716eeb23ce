# SPDX-License-Identifier: MIT
# Policies by name (`extmem run --policy lru`), and the bash completion.

policydir = $(pkgdatadir)/policies
dist_policy_DATA = share/policies/default.yaml share/policies/clock.yaml \
	share/policies/fifo.yaml share/policies/lru.yaml

# bash-completion finds a command's completion by the command's name.
completiondir = $(bashcompletiondir)
nodist_completion_DATA = share/completions/extmem
EXTRA_DIST += share/completions/extmem.bash
CLEANFILES += share/completions/extmem

share/completions/extmem: share/completions/extmem.bash
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
		cp $(srcdir)/share/completions/extmem.bash $@
