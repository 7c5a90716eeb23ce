# SPDX-License-Identifier: MIT
# libextmem, the preloaded library, and libconf.a, what the commands share
# with it.

# The eviction algorithms: they need nothing but extmem-policy.h, and both
# libraries have them.
extmem_policy_sources = \
	lib/extmem-policy.h \
	lib/plugin.c lib/plugin.h \
	lib/policies/2q.c \
	lib/policies/car.c \
	lib/policies/clock.c \
	lib/policies/clock2qplus.c \
	lib/policies/draw.h \
	lib/policies/fifo.c \
	lib/policies/hyperbolic.c \
	lib/policies/lirs.c \
	lib/policies/list.h \
	lib/policies/lru.c \
	lib/policies/mru.c \
	lib/policies/policies.h \
	lib/policies/random.c \
	lib/policies/s3fifo.c \
	lib/policies/sieve.c \
	lib/policies/registry.c

noinst_LIBRARIES += lib/libconf.a
lib_libconf_a_SOURCES = lib/allowance.c lib/allowance.h lib/config.c lib/config.h lib/options.c lib/yaml.c lib/yaml.h \
	lib/report.c lib/report.h lib/segment.h \
	$(extmem_policy_sources)
lib_libconf_a_CFLAGS = $(AM_CFLAGS) $(EM_SANITIZE) $(LIBYAML_CFLAGS)

# Everything but the seam to the kernel (sys.c) and libc's names (interpose/):
# the unit tests link it with a fake kernel.
extmem_core_sources = \
	lib/ahead.c lib/ahead.h \
	lib/allowance.c lib/allowance.h \
	lib/arch.S lib/arch.h \
	lib/config.c lib/config.h lib/options.c \
	lib/control.c lib/control.h \
	lib/core.c lib/core.h \
	lib/credits.c lib/credits.h \
	lib/delivery.c lib/delivery.h \
	lib/dense.c lib/dense.h \
	lib/fault.c lib/fault.h \
	lib/fork.c lib/fork.h \
	lib/habit.c lib/habit.h \
	lib/kernel.h \
	lib/knobs.c lib/knobs.h \
	lib/limit.c lib/limit.h \
	lib/lock.c lib/lock.h lib/notes.h \
	lib/log.c lib/log.h \
	lib/page.c lib/page.h \
	lib/policy.c lib/policy.h \
	$(extmem_policy_sources) \
	lib/prefetch.c lib/prefetch.h \
	lib/preload.c lib/preload.h \
	lib/prefetchers/leap.c \
	lib/prefetchers/markov.c \
	lib/prefetchers/prefetchers.h \
	lib/prefetchers/replay.c \
	lib/prefetchers/sequence.h \
	lib/prefetchers/stride.c \
	lib/quota.c lib/quota.h \
	lib/reclaim.c lib/reclaim.h \
	lib/region.c lib/region.h \
	lib/rules.c lib/rules.h \
	lib/report.c lib/report.h \
	lib/segment.h \
	lib/shm.c lib/shm.h \
	lib/slots.c lib/slots.h \
	lib/standby.c lib/standby.h \
	lib/stats.c lib/stats.h \
	lib/store.c lib/store.h \
	lib/stores/file.c lib/stores/stores.h \
	lib/sys.h \
	lib/thread.c lib/thread.h \
	lib/trace.c lib/trace.h lib/trace-format.h \
	lib/trace-load.c lib/trace-load.h lib/trace-read.c lib/trace-read.h \
	lib/tune.c lib/tune.h \
	lib/util.h \
	lib/watch.c lib/watch.h \
	lib/window.c lib/window.h \
	lib/worker.c lib/worker.h

lib_LTLIBRARIES += lib/libextmem.la
lib_libextmem_la_SOURCES = $(extmem_core_sources) \
	lib/sys.c \
	lib/api.c lib/extmem.h \
	lib/interpose/calls.c lib/interpose/calls.h \
	lib/interpose/fd.c \
	lib/interpose/guard.c \
	lib/interpose/heap.c \
	lib/interpose/init.c \
	lib/interpose/interpose.h \
	lib/interpose/io.c \
	lib/interpose/jemalloc.c \
	lib/interpose/masks.c \
	lib/interpose/mem.c \
	lib/interpose/net.c \
	lib/interpose/net_calls.h \
	lib/interpose/new.c \
	lib/interpose/process.c \
	lib/interpose/sandbox.c \
	lib/interpose/signal.c lib/interpose/relay.c lib/interpose/relay.h lib/interpose/handler.S \
	lib/interpose/syscall.S \
	lib/interpose/threads.c \
	lib/interpose/uring.c
lib_libextmem_la_CPPFLAGS = $(AM_CPPFLAGS) -DEM_VERSION='"$(PACKAGE_VERSION)"'
lib_libextmem_la_CFLAGS = $(AM_CFLAGS) $(LIBURING_CFLAGS) $(JEMALLOC_CFLAGS) \
	-fvisibility=hidden -fno-builtin-malloc -fno-builtin-calloc
lib_libextmem_la_DEPENDENCIES = lib/jemalloc-own.a lib/liburing-own.a
lib_libextmem_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -Wl,-z,nodelete \
	$(extmem_archives)
# In the place of libraries; libtool has warnings for that.
extmem_archives = -Wl,--exclude-libs,ALL -Wl,lib/jemalloc-own.a -Wl,lib/liburing-own.a \
	-Wl,-z,defs
EXTRA_DIST += lib/interpose/jemalloc.syms lib/interpose/liburing.syms

# jemalloc under names of our own; operator new is libstdc++'s business.
lib/jemalloc-own.a: lib/interpose/jemalloc.syms $(JEMALLOC_ARCHIVE)
	$(AM_V_GEN)rm -f $@ && \
	$(OBJCOPY) --redefine-syms=$(srcdir)/lib/interpose/jemalloc.syms $(JEMALLOC_ARCHIVE) $@.tmp && \
	$(AR) d $@.tmp jemalloc_cpp.pic.o jemalloc_cpp.o && mv $@.tmp $@
CLEANFILES += lib/jemalloc-own.a

# What uring.c defines for the program is not what the store uses.
lib/liburing-own.a: lib/interpose/liburing.syms $(URING_ARCHIVE)
	$(AM_V_GEN)$(OBJCOPY) --redefine-syms=$(srcdir)/lib/interpose/liburing.syms \
		$(URING_ARCHIVE) $@
CLEANFILES += lib/liburing-own.a
include_HEADERS += lib/extmem.h lib/extmem-policy.h
pkgconfigdir = $(libdir)/pkgconfig
nodist_pkgconfig_DATA = lib/libextmem.pc

# What may run in a signal handler: tests/check-handler-symbols looks at these.
extmem_handler_objects = \
	lib/.libs/libextmem_la-ahead.o \
	lib/.libs/libextmem_la-credits.o \
	lib/.libs/libextmem_la-delivery.o \
	lib/.libs/libextmem_la-dense.o \
	lib/.libs/libextmem_la-fault.o \
	lib/.libs/libextmem_la-habit.o \
	lib/.libs/libextmem_la-lock.o \
	lib/.libs/libextmem_la-log.o \
	lib/.libs/libextmem_la-page.o \
	lib/.libs/libextmem_la-policy.o \
	lib/.libs/libextmem_la-prefetch.o \
	lib/.libs/libextmem_la-quota.o \
	lib/.libs/libextmem_la-reclaim.o \
	lib/.libs/libextmem_la-region.o \
	lib/.libs/libextmem_la-slots.o \
	lib/.libs/libextmem_la-standby.o \
	lib/.libs/libextmem_la-stats.o \
	lib/.libs/libextmem_la-store.o \
	lib/.libs/libextmem_la-sys.o \
	lib/.libs/libextmem_la-thread.o \
	lib/.libs/libextmem_la-trace.o \
	lib/.libs/libextmem_la-watch.o \
	lib/policies/.libs/libextmem_la-2q.o \
	lib/policies/.libs/libextmem_la-car.o \
	lib/policies/.libs/libextmem_la-clock.o \
	lib/policies/.libs/libextmem_la-clock2qplus.o \
	lib/policies/.libs/libextmem_la-fifo.o \
	lib/policies/.libs/libextmem_la-hyperbolic.o \
	lib/policies/.libs/libextmem_la-lirs.o \
	lib/policies/.libs/libextmem_la-lru.o \
	lib/policies/.libs/libextmem_la-mru.o \
	lib/policies/.libs/libextmem_la-random.o \
	lib/policies/.libs/libextmem_la-s3fifo.o \
	lib/policies/.libs/libextmem_la-sieve.o \
	lib/policies/.libs/libextmem_la-registry.o \
	lib/prefetchers/.libs/libextmem_la-leap.o \
	lib/prefetchers/.libs/libextmem_la-markov.o \
	lib/prefetchers/.libs/libextmem_la-replay.o \
	lib/prefetchers/.libs/libextmem_la-stride.o \
	lib/stores/.libs/libextmem_la-file.o
