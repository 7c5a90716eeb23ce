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

# Policies to start from, which are not found by name, and the source of a
# plug-in, which is built here so that it stays good.
exampledir = $(pkgdatadir)/examples/policy
dist_example_DATA = share/examples/policy/graph-csr.yaml share/examples/policy/slru.c
noinst_DATA = share/examples/policy/slru.so
CLEANFILES += share/examples/policy/slru.so

share/examples/policy/slru.so: share/examples/policy/slru.c lib/extmem-policy.h
	$(AM_V_CCLD)$(MKDIR_P) $(@D) && \
		$(CC) -I$(srcdir)/lib $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) $(LDFLAGS) \
		-shared -fPIC -Wl,-z,now -o $@ $(srcdir)/share/examples/policy/slru.c && \
		chmod go-w $@

# bash-completion finds a command's completion by the command's name.
completiondir = $(bashcompletiondir)
nodist_completion_DATA = share/completions/extmem
EXTRA_DIST += share/completions/extmem.bash
CLEANFILES += share/completions/extmem

share/completions/extmem: share/completions/extmem.bash
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
		cp $(srcdir)/share/completions/extmem.bash $@
