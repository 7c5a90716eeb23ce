# SPDX-License-Identifier: MIT
# The commands: the dispatcher, and one binary a verb where it finds them.
# They link libconf.a only: the library is for the programs that they start.

bin_PROGRAMS += extmem
pkglibexec_PROGRAMS += cmd/extmem-run cmd/extmem-stat cmd/extmem-policy \
	cmd/extmem-dump

cmd_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/cmd \
	-DEM_VERSION='"$(VERSION)"' \
	-DEM_LIBEXECDIR='"$(pkglibexecdir)"' \
	-DEM_LIBDIR='"$(libdir)"' \
	-DEM_DATADIR='"$(pkgdatadir)"' \
	-DEM_SRCDIR='"$(abs_top_srcdir)"'
cmd_cflags = $(AM_CFLAGS) $(EM_SANITIZE)
cmd_ldflags = $(AM_LDFLAGS) $(EM_SANITIZE)
cmd_common = cmd/common.c cmd/common.h
cmd_ldadd = lib/libconf.a $(LIBYAML_LIBS)

extmem_SOURCES = cmd/extmem.c $(cmd_common)
extmem_CPPFLAGS = $(cmd_cppflags)
extmem_CFLAGS = $(cmd_cflags)
extmem_LDFLAGS = $(cmd_ldflags)
extmem_LDADD = $(cmd_ldadd)

cmd_extmem_run_SOURCES = cmd/run.c cmd/machine.c cmd/machine.h cmd/program.c \
	cmd/program.h cmd/judge.c cmd/judge.h cmd/trial.c cmd/trial.h $(cmd_recording) $(cmd_common)
cmd_extmem_run_CPPFLAGS = $(cmd_cppflags)
cmd_extmem_run_CFLAGS = $(cmd_cflags)
cmd_extmem_run_LDFLAGS = $(cmd_ldflags)
cmd_extmem_run_LDADD = $(cmd_ldadd)

cmd_extmem_stat_SOURCES = cmd/stat.c $(cmd_common)
cmd_extmem_stat_CPPFLAGS = $(cmd_cppflags)
cmd_extmem_stat_CFLAGS = $(cmd_cflags)
cmd_extmem_stat_LDFLAGS = $(cmd_ldflags)
cmd_extmem_stat_LDADD = $(cmd_ldadd)

cmd_recording = cmd/recording.c cmd/recording.h lib/trace-read.c lib/trace-read.h lib/trace-format.h
cmd_extmem_policy_SOURCES = cmd/policy.c cmd/policy_live.c cmd/policy_live.h \
	lib/control.h cmd/judge.c cmd/judge.h cmd/trial.c cmd/trial.h cmd/policy_simulate.c \
	cmd/policy_simulate.h cmd/policy_chart.c cmd/policy_advise.c cmd/simulate.c cmd/simulate.h cmd/trace.c cmd/trace.h \
	$(cmd_recording) \
	$(cmd_common)
cmd_extmem_policy_CPPFLAGS = $(cmd_cppflags)
cmd_extmem_policy_CFLAGS = $(cmd_cflags)
cmd_extmem_policy_LDFLAGS = $(cmd_ldflags)
cmd_extmem_policy_LDADD = $(cmd_ldadd) -lm

cmd_extmem_dump_SOURCES = cmd/dump.c cmd/dump_trace.c cmd/dump_trace.h $(cmd_recording) \
	$(cmd_common)
cmd_extmem_dump_CPPFLAGS = $(cmd_cppflags)
cmd_extmem_dump_CFLAGS = $(cmd_cflags)
cmd_extmem_dump_LDFLAGS = $(cmd_ldflags)
cmd_extmem_dump_LDADD = $(cmd_ldadd)
