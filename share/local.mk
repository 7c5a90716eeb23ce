# SPDX-License-Identifier: MIT
# Policies by name (`extmem run --policy lru`), and the bash completion.

policydir = $(pkgdatadir)/policies
dist_policy_DATA = share/policies/default.yaml \
	share/policies/2q.yaml \
	share/policies/car.yaml \
	share/policies/clock.yaml \
	share/policies/clock2q+.yaml \
	share/policies/fifo.yaml \
	share/policies/hyperbolic.yaml \
	share/policies/lirs.yaml \
	share/policies/lru.yaml \
	share/policies/mru.yaml \
	share/policies/random.yaml \
	share/policies/s3fifo.yaml \
	share/policies/sieve.yaml

# Policies to start from; they are not found by name.
exampledir = $(pkgdatadir)/examples/policy
dist_example_DATA = share/examples/policy/graph-csr.yaml

# bash-completion finds a command's completion by the command's name.
completiondir = $(bashcompletiondir)
nodist_completion_DATA = share/completions/extmem
EXTRA_DIST += share/completions/extmem.bash
CLEANFILES += share/completions/extmem

share/completions/extmem: share/completions/extmem.bash
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
		cp $(srcdir)/share/completions/extmem.bash $@
