# SPDX-License-Identifier: MIT
# The tests: all speak TAP and run under tests/lib/tap-driver. `make check`
# takes the quick ones, `make check-long` gives stress and programs their full
# length.

TEST_EXTENSIONS = .bats .sh
tap_driver = $(top_srcdir)/tests/lib/tap-driver
LOG_DRIVER = $(tap_driver)
SH_LOG_DRIVER = $(tap_driver)
BATS_LOG_DRIVER = $(tap_driver)
BATS_LOG_COMPILER = $(top_srcdir)/tests/lib/run-bats
AM_TESTS_ENVIRONMENT = \
	EXTMEM='$(abs_top_builddir)/extmem'; export EXTMEM; \
	EM_BUILDDIR='$(abs_top_builddir)'; export EM_BUILDDIR; \
	EM_SRCDIR='$(abs_top_srcdir)'; export EM_SRCDIR; \
	EM_HANDLER_OBJECTS='$(extmem_handler_objects)'; export EM_HANDLER_OBJECTS; \
	BATS='$(BATS)'; export BATS;

# ---- unit ----
# Either against libconf.a, what the commands share, or against libcore.a: all
# of the library but what names libc's functions, on a kernel that is a fake.

# -iquote: "config.h" is lib/config.h, not what autoconf made.
unit_cppflags = -iquote $(top_srcdir)/lib $(AM_CPPFLAGS)
unit_cflags = $(AM_CFLAGS) $(EM_SANITIZE)
unit_ldflags = $(AM_LDFLAGS) $(EM_SANITIZE)
unit_conf_libs = lib/libconf.a $(LIBYAML_LIBS)
unit_core_libs = tests/unit/libcore.a $(LIBURING_LIBS)
unit_core_cflags = $(unit_cflags) -pthread
unit_core_ldflags = $(unit_ldflags) -pthread
unit_world = tests/unit/tap.h tests/unit/world.h tests/unit/fake_sys.h

unit_tests = tests/unit/test_config tests/unit/test_yaml \
	tests/unit/test_page tests/unit/test_credits tests/unit/test_policies \
	tests/unit/test_slots tests/unit/test_region tests/unit/test_fault tests/unit/test_habit \
	tests/unit/test_reclaim tests/unit/test_store_file \
	tests/unit/test_hazards tests/unit/test_trace tests/unit/test_prefetch tests/unit/test_replay tests/unit/test_delivery tests/unit/test_report \
	tests/unit/test_calls tests/unit/test_rules tests/unit/test_pressure \
	tests/unit/test_plugin tests/unit/test_ahead tests/unit/test_allowance \
	tests/unit/test_events

tests_unit_test_config_SOURCES = tests/unit/test_config.c tests/unit/tap.h
tests_unit_test_config_CPPFLAGS = $(unit_cppflags)
tests_unit_test_config_CFLAGS = $(unit_cflags)
tests_unit_test_config_LDFLAGS = $(unit_ldflags)
tests_unit_test_config_LDADD = $(unit_conf_libs)

tests_unit_test_allowance_SOURCES = tests/unit/test_allowance.c tests/unit/tap.h
tests_unit_test_allowance_CPPFLAGS = $(unit_cppflags)
tests_unit_test_allowance_CFLAGS = $(unit_cflags)
tests_unit_test_allowance_LDFLAGS = $(unit_ldflags)
tests_unit_test_allowance_LDADD = $(unit_conf_libs)

tests_unit_test_yaml_SOURCES = tests/unit/test_yaml.c tests/unit/tap.h
tests_unit_test_yaml_CPPFLAGS = $(unit_cppflags)
tests_unit_test_yaml_CFLAGS = $(unit_cflags)
tests_unit_test_yaml_LDFLAGS = $(unit_ldflags)
tests_unit_test_yaml_LDADD = $(unit_conf_libs)

tests_unit_test_calls_SOURCES = tests/unit/test_calls.c tests/unit/tap.h \
	lib/interpose/calls.c lib/interpose/calls.h
tests_unit_test_calls_CPPFLAGS = $(unit_cppflags)
tests_unit_test_calls_CFLAGS = $(unit_cflags)
tests_unit_test_calls_LDFLAGS = $(unit_ldflags)

tests_unit_test_page_SOURCES = tests/unit/test_page.c $(unit_world)
tests_unit_test_page_CPPFLAGS = $(unit_cppflags)
tests_unit_test_page_CFLAGS = $(unit_core_cflags)
tests_unit_test_page_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_page_LDADD = $(unit_core_libs)

tests_unit_test_credits_SOURCES = tests/unit/test_credits.c $(unit_world)
tests_unit_test_credits_CPPFLAGS = $(unit_cppflags)
tests_unit_test_credits_CFLAGS = $(unit_core_cflags)
tests_unit_test_credits_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_credits_LDADD = $(unit_core_libs)

tests_unit_test_events_SOURCES = tests/unit/test_events.c $(unit_world)
tests_unit_test_events_CPPFLAGS = $(unit_cppflags)
tests_unit_test_events_CFLAGS = $(unit_core_cflags)
tests_unit_test_events_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_events_LDADD = $(unit_core_libs)

tests_unit_test_ahead_SOURCES = tests/unit/test_ahead.c $(unit_world)
tests_unit_test_ahead_CPPFLAGS = $(unit_cppflags)
tests_unit_test_ahead_CFLAGS = $(unit_core_cflags)
tests_unit_test_ahead_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_ahead_LDADD = $(unit_core_libs)

tests_unit_test_pressure_SOURCES = tests/unit/test_pressure.c $(unit_world)
tests_unit_test_pressure_CPPFLAGS = $(unit_cppflags)
tests_unit_test_pressure_CFLAGS = $(unit_core_cflags)
tests_unit_test_pressure_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_pressure_LDADD = $(unit_core_libs)

tests_unit_test_policies_SOURCES = tests/unit/test_policies.c $(unit_world)
tests_unit_test_policies_CPPFLAGS = $(unit_cppflags)
tests_unit_test_policies_CFLAGS = $(unit_core_cflags)
tests_unit_test_policies_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_policies_LDADD = $(unit_core_libs)

tests_unit_test_slots_SOURCES = tests/unit/test_slots.c $(unit_world)
tests_unit_test_slots_CPPFLAGS = $(unit_cppflags)
tests_unit_test_slots_CFLAGS = $(unit_core_cflags)
tests_unit_test_slots_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_slots_LDADD = $(unit_core_libs)

tests_unit_test_region_SOURCES = tests/unit/test_region.c $(unit_world)
tests_unit_test_region_CPPFLAGS = $(unit_cppflags)
tests_unit_test_region_CFLAGS = $(unit_core_cflags)
tests_unit_test_region_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_region_LDADD = $(unit_core_libs)

tests_unit_test_habit_SOURCES = tests/unit/test_habit.c $(unit_world)
tests_unit_test_habit_CPPFLAGS = $(unit_cppflags)
tests_unit_test_habit_CFLAGS = $(unit_core_cflags)
tests_unit_test_habit_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_habit_LDADD = $(unit_core_libs)

tests_unit_test_fault_SOURCES = tests/unit/test_fault.c $(unit_world)
tests_unit_test_fault_CPPFLAGS = $(unit_cppflags)
tests_unit_test_fault_CFLAGS = $(unit_core_cflags)
tests_unit_test_fault_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_fault_LDADD = $(unit_core_libs)

tests_unit_test_reclaim_SOURCES = tests/unit/test_reclaim.c $(unit_world)
tests_unit_test_reclaim_CPPFLAGS = $(unit_cppflags)
tests_unit_test_reclaim_CFLAGS = $(unit_core_cflags)
tests_unit_test_reclaim_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_reclaim_LDADD = $(unit_core_libs)

tests_unit_test_store_file_SOURCES = tests/unit/test_store_file.c $(unit_world)
tests_unit_test_store_file_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_file_CFLAGS = $(unit_core_cflags)
tests_unit_test_store_file_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_store_file_LDADD = $(unit_core_libs)

tests_unit_test_plugin_SOURCES = tests/unit/test_plugin.c tests/unit/tap.h
tests_unit_test_plugin_CPPFLAGS = $(unit_cppflags)
tests_unit_test_plugin_CFLAGS = $(unit_cflags)
tests_unit_test_plugin_LDFLAGS = $(unit_ldflags)
tests_unit_test_plugin_LDADD = $(unit_conf_libs)

tests_unit_test_rules_SOURCES = tests/unit/test_rules.c $(unit_world)
tests_unit_test_rules_CPPFLAGS = $(unit_cppflags)
tests_unit_test_rules_CFLAGS = $(unit_core_cflags)
tests_unit_test_rules_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_rules_LDADD = $(unit_core_libs)
tests_unit_test_trace_SOURCES = tests/unit/test_trace.c $(unit_world) $(cmd_recording)
tests_unit_test_trace_CPPFLAGS = $(unit_cppflags) -iquote $(top_srcdir)/cmd
tests_unit_test_trace_CFLAGS = $(unit_core_cflags)
tests_unit_test_trace_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_trace_LDADD = $(unit_core_libs)

tests_unit_test_hazards_SOURCES = tests/unit/test_hazards.c $(unit_world)
tests_unit_test_hazards_CPPFLAGS = $(unit_cppflags)
tests_unit_test_hazards_CFLAGS = $(unit_core_cflags)
tests_unit_test_hazards_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_hazards_LDADD = $(unit_core_libs)
tests_unit_test_prefetch_SOURCES = tests/unit/test_prefetch.c $(unit_world)
tests_unit_test_prefetch_CPPFLAGS = $(unit_cppflags)
tests_unit_test_prefetch_CFLAGS = $(unit_core_cflags)
tests_unit_test_prefetch_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_prefetch_LDADD = $(unit_core_libs)
tests_unit_test_replay_SOURCES = tests/unit/test_replay.c $(unit_world)
tests_unit_test_replay_CPPFLAGS = $(unit_cppflags)
tests_unit_test_replay_CFLAGS = $(unit_core_cflags)
tests_unit_test_replay_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_replay_LDADD = $(unit_core_libs)

tests_unit_test_delivery_SOURCES = tests/unit/test_delivery.c $(unit_world)
tests_unit_test_delivery_CPPFLAGS = $(unit_cppflags)
tests_unit_test_delivery_CFLAGS = $(unit_core_cflags)
tests_unit_test_delivery_LDFLAGS = $(unit_core_ldflags)
tests_unit_test_delivery_LDADD = $(unit_core_libs)

tests_unit_test_report_SOURCES = tests/unit/test_report.c tests/unit/tap.h
tests_unit_test_report_CPPFLAGS = $(unit_cppflags)
tests_unit_test_report_CFLAGS = $(unit_cflags)
tests_unit_test_report_LDFLAGS = $(unit_ldflags)
tests_unit_test_report_LDADD = $(unit_conf_libs)

check_LIBRARIES += tests/unit/libcore.a
tests_unit_libcore_a_SOURCES = $(extmem_core_sources) \
	tests/unit/fake_sys.c tests/unit/fake_sys.h
tests_unit_libcore_a_CPPFLAGS = $(unit_cppflags)
tests_unit_libcore_a_CFLAGS = $(unit_cflags) $(LIBURING_CFLAGS)

check_PROGRAMS += $(unit_tests)

# ---- what the scripts use ----

check_PROGRAMS += tests/lib/measure tests/lib/lines tests/stress/kernel tests/stress/verify \
	tests/stress/torture tests/bench/touch tests/bench/pagerank tests/stress/memcalls \
	tests/bench/fork tests/bench/calls
tests_lib_measure_SOURCES = tests/lib/measure.c
tests_lib_lines_SOURCES = tests/lib/lines.c
tests_stress_kernel_SOURCES = tests/stress/kernel.c
tests_stress_kernel_CFLAGS = $(AM_CFLAGS) $(LIBURING_CFLAGS)
tests_stress_kernel_LDADD = $(LIBURING_LIBS)
tests_stress_verify_SOURCES = tests/stress/verify.c tests/stress/areas.h
tests_stress_verify_CFLAGS = $(AM_CFLAGS) -pthread
tests_stress_verify_LDFLAGS = $(AM_LDFLAGS) -pthread
tests_stress_torture_SOURCES = tests/stress/torture.c tests/stress/areas.h
tests_stress_torture_CFLAGS = $(AM_CFLAGS) -pthread
tests_stress_torture_LDFLAGS = $(AM_LDFLAGS) -pthread
tests_stress_memcalls_SOURCES = tests/stress/memcalls.c
tests_bench_fork_SOURCES = tests/bench/fork.c
tests_bench_calls_SOURCES = tests/bench/calls.c
tests_bench_calls_CFLAGS = $(AM_CFLAGS) -pthread
tests_bench_calls_LDFLAGS = $(AM_LDFLAGS) -pthread
tests_bench_pagerank_SOURCES = tests/bench/pagerank.c
tests_bench_pagerank_CFLAGS = $(AM_CFLAGS) -pthread
tests_bench_pagerank_LDFLAGS = $(AM_LDFLAGS) -pthread
tests_bench_touch_SOURCES = tests/bench/touch.c tests/bench/floor.c \
	tests/bench/floor.h
tests_bench_touch_CFLAGS = $(AM_CFLAGS) -pthread $(LIBURING_CFLAGS)
tests_bench_touch_LDFLAGS = $(AM_LDFLAGS) -pthread
tests_bench_touch_LDADD = $(LIBURING_LIBS)

# ---- policies: the eviction algorithms beside models of them ----

check_PROGRAMS += tests/policies/driver
tests_policies_driver_SOURCES = tests/policies/driver.c
tests_policies_driver_CPPFLAGS = $(unit_cppflags)
tests_policies_driver_CFLAGS = $(unit_cflags)
tests_policies_driver_LDFLAGS = $(unit_ldflags)
tests_policies_driver_LDADD = lib/libconf.a

# ---- fuzz: the readers on any bytes; with libFuzzer where clang has it ----

check_PROGRAMS += tests/fuzz/replay_trace tests/fuzz/replay_load tests/fuzz/replay_yaml \
	tests/fuzz/replay_lines
fuzz_cppflags = $(unit_cppflags) -iquote $(top_srcdir)/cmd
tests_fuzz_replay_trace_SOURCES = tests/fuzz/fuzz_trace.c tests/fuzz/replay.c tests/fuzz/fuzz.h \
	$(cmd_recording)
tests_fuzz_replay_trace_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_trace_CFLAGS = $(unit_cflags)
tests_fuzz_replay_trace_LDFLAGS = $(unit_ldflags)
fuzz_load_sources = lib/trace-load.c lib/trace-read.c lib/prefetchers/replay.c
tests_fuzz_replay_load_SOURCES = tests/fuzz/fuzz_load.c tests/fuzz/replay.c tests/fuzz/fuzz.h \
	$(fuzz_load_sources)
tests_fuzz_replay_load_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_load_CFLAGS = $(unit_cflags)
tests_fuzz_replay_load_LDFLAGS = $(unit_ldflags)
tests_fuzz_replay_yaml_SOURCES = tests/fuzz/fuzz_yaml.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_yaml_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_yaml_CFLAGS = $(unit_cflags)
tests_fuzz_replay_yaml_LDFLAGS = $(unit_ldflags)
tests_fuzz_replay_yaml_LDADD = $(unit_conf_libs)
tests_fuzz_replay_lines_SOURCES = tests/fuzz/fuzz_lines.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_lines_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_replay_lines_CFLAGS = $(unit_cflags)
tests_fuzz_replay_lines_LDFLAGS = $(unit_ldflags)
tests_fuzz_replay_lines_LDADD = $(unit_conf_libs)

FUZZ_CC = clang
FUZZ_SECONDS = 60
FUZZ_FLAGS = -g -O1 -std=gnu11 -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined $(fuzz_cppflags)
fuzz_sources = $(addprefix $(srcdir)/,$(filter %.c,$(1)))

tests/fuzz/fuzz_trace: $(call fuzz_sources,tests/fuzz/fuzz_trace.c $(cmd_recording))
	$(AM_V_CC)$(FUZZ_CC) $(FUZZ_FLAGS) -o $@ $^
tests/fuzz/fuzz_load: $(call fuzz_sources,tests/fuzz/fuzz_load.c $(fuzz_load_sources))
	$(AM_V_CC)$(FUZZ_CC) $(FUZZ_FLAGS) -o $@ $^
tests/fuzz/fuzz_yaml: $(call fuzz_sources,tests/fuzz/fuzz_yaml.c $(lib_libconf_a_SOURCES))
	$(AM_V_CC)$(FUZZ_CC) $(FUZZ_FLAGS) $(LIBYAML_CFLAGS) -o $@ $^ $(LIBYAML_LIBS)
tests/fuzz/fuzz_lines: $(call fuzz_sources,tests/fuzz/fuzz_lines.c $(lib_libconf_a_SOURCES))
	$(AM_V_CC)$(FUZZ_CC) $(FUZZ_FLAGS) $(LIBYAML_CFLAGS) -o $@ $^ $(LIBYAML_LIBS)

# Each for FUZZ_SECONDS; what it finds is left in tests/fuzz/ of the build tree.
.PHONY: fuzz
fuzz: tests/fuzz/fuzz_trace tests/fuzz/fuzz_load tests/fuzz/fuzz_yaml tests/fuzz/fuzz_lines
	$(MKDIR_P) tests/fuzz/found-trace tests/fuzz/found-load tests/fuzz/found-yaml tests/fuzz/found-lines
	tests/fuzz/fuzz_lines -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
		-artifact_prefix=tests/fuzz/lines- tests/fuzz/found-lines \
		$(srcdir)/tests/fuzz/corpus/lines
	tests/fuzz/fuzz_trace -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
		-artifact_prefix=tests/fuzz/trace- tests/fuzz/found-trace \
		$(srcdir)/tests/fuzz/corpus/trace
	tests/fuzz/fuzz_load -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
		-artifact_prefix=tests/fuzz/load- tests/fuzz/found-load \
		$(srcdir)/tests/fuzz/corpus/trace
	tests/fuzz/fuzz_yaml -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
		-artifact_prefix=tests/fuzz/yaml- tests/fuzz/found-yaml \
		$(srcdir)/tests/fuzz/corpus/yaml $(srcdir)/share/policies
CLEANFILES += tests/fuzz/fuzz_trace tests/fuzz/fuzz_load tests/fuzz/fuzz_yaml tests/fuzz/fuzz_lines

# ---- rows: one case for each thing that a program does to a pager ----
# With a library of its own, in which protections can be switched off.

check_LTLIBRARIES += tests/rows/libextmem-knobs.la
tests_rows_libextmem_knobs_la_SOURCES = $(lib_libextmem_la_SOURCES)
tests_rows_libextmem_knobs_la_CPPFLAGS = $(lib_libextmem_la_CPPFLAGS) -DEM_TEST_KNOBS
tests_rows_libextmem_knobs_la_CFLAGS = $(lib_libextmem_la_CFLAGS)
tests_rows_libextmem_knobs_la_DEPENDENCIES = $(lib_libextmem_la_DEPENDENCIES)
# Never installed, but shared all the same: that is what -rpath is for.
tests_rows_libextmem_knobs_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version \
	-rpath $(abs_top_builddir)/tests/rows -Wl,-z,nodelete $(extmem_archives)

row_programs = tests/rows/rows-calls tests/rows/rows-signals tests/rows/rows-ours tests/rows/rows-waits tests/rows/rows-stacks \
	tests/rows/rows-threads tests/rows/rows-sandbox tests/rows/rows-processes tests/rows/rows-memory
check_PROGRAMS += $(row_programs)
row_cflags = $(AM_CFLAGS) -pthread
row_ldflags = $(AM_LDFLAGS) -pthread
tests_rows_rows_calls_SOURCES = tests/rows/calls.c tests/rows/row.h
tests_rows_rows_calls_CFLAGS = $(row_cflags)
tests_rows_rows_calls_LDFLAGS = $(row_ldflags)
tests_rows_rows_memory_SOURCES = tests/rows/memory.c tests/rows/row.h
tests_rows_rows_memory_CFLAGS = $(row_cflags)
tests_rows_rows_memory_LDFLAGS = $(row_ldflags)
tests_rows_rows_ours_SOURCES = tests/rows/ours.c tests/rows/row.h
tests_rows_rows_ours_CFLAGS = $(row_cflags)
tests_rows_rows_ours_LDFLAGS = $(row_ldflags)
tests_rows_rows_processes_SOURCES = tests/rows/processes.c tests/rows/row.h
tests_rows_rows_processes_CFLAGS = $(row_cflags)
tests_rows_rows_processes_LDFLAGS = $(row_ldflags)
tests_rows_rows_sandbox_SOURCES = tests/rows/sandbox.c tests/rows/row.h
tests_rows_rows_sandbox_CFLAGS = $(row_cflags)
tests_rows_rows_sandbox_LDFLAGS = $(row_ldflags)
tests_rows_rows_signals_SOURCES = tests/rows/signals.c tests/rows/row.h
tests_rows_rows_signals_CFLAGS = $(row_cflags)
tests_rows_rows_signals_LDFLAGS = $(row_ldflags)
tests_rows_rows_waits_SOURCES = tests/rows/waits.c tests/rows/row.h
tests_rows_rows_waits_CFLAGS = $(row_cflags) -fexceptions
tests_rows_rows_waits_LDFLAGS = $(row_ldflags)
tests_rows_rows_stacks_SOURCES = tests/rows/stacks.c tests/rows/row.h
tests_rows_rows_stacks_CFLAGS = $(row_cflags)
tests_rows_rows_stacks_LDFLAGS = $(row_ldflags)
tests_rows_rows_threads_SOURCES = tests/rows/threads.c tests/rows/row.h
tests_rows_rows_threads_CFLAGS = $(row_cflags)
tests_rows_rows_threads_LDFLAGS = $(row_ldflags)

# ---- suites ----

cli_tests = tests/cli/run.bats tests/cli/regions.bats tests/cli/apply.bats tests/cli/pressure.bats tests/cli/hints.bats tests/cli/stat.bats tests/cli/dump.bats \
	tests/cli/policy.bats tests/cli/plugin.bats tests/cli/trace.bats tests/cli/replay.bats tests/cli/help.bats tests/cli/attach.bats \
	tests/lib/children.bats
program_tests = tests/programs/allocators.sh \
	tests/programs/bash.sh tests/programs/bc.sh \
	tests/programs/clang.sh tests/programs/diff.sh tests/programs/g++.sh \
	tests/programs/gawk.sh tests/programs/gcc.sh tests/programs/ghostscript.sh \
	tests/programs/git.sh tests/programs/gp.sh tests/programs/guile.sh \
	tests/programs/imagemagick.sh tests/programs/java.sh tests/programs/jq.sh \
	tests/programs/lua.sh tests/programs/make.sh tests/programs/memcached.sh \
	tests/programs/multiprocessing.sh tests/programs/nginx.sh \
	tests/programs/node.sh tests/programs/numpy.sh \
	tests/programs/openmp.sh tests/programs/openssl.sh tests/programs/own-malloc.sh \
	tests/programs/perl.sh tests/programs/php.sh tests/programs/pigz.sh \
	tests/programs/postgres.sh tests/programs/python.sh \
	tests/programs/redis-bgsave.sh tests/programs/redis.sh \
	tests/programs/ruby.sh tests/programs/sbcl.sh \
	tests/programs/sort-numbers.sh tests/programs/sort.sh \
	tests/programs/sqlite.sh tests/programs/tar.sh tests/programs/xz.sh \
	tests/programs/zstd.sh
stress_tests = tests/stress/memcalls.sh tests/stress/run.sh tests/stress/stress-ng.sh \
	tests/stress/torture.sh tests/stress/apply.sh
row_tests = tests/rows/run.sh
policy_tests = tests/policies/models.sh tests/policies/recorded.sh
fuzz_tests = tests/fuzz/corpus.sh
bench_tests = tests/bench/reckoning.sh tests/bench/smoke.sh

TESTS += $(unit_tests) tests/check-handler-symbols $(cli_tests) \
	$(policy_tests) $(fuzz_tests) $(row_tests) $(stress_tests) $(program_tests) \
	$(bench_tests)

EXTRA_DIST += tests/policies/compare.py tests/policies/models.py \
	tests/policies/recorded.py \
	$(policy_tests) $(fuzz_tests) tests/fuzz/corpus \
	tests/check-handler-symbols tests/handler-symbols.txt \
	tests/lib/tap-driver tests/lib/tally tests/lib/run-bats \
	tests/lib/children.sh tests/lib/common.sh tests/lib/program.sh tests/run-programs \
	tests/stress/drift.sh \
	tests/bench/run tests/bench/columns.sh tests/bench/workloads.sh \
	tests/bench/report.awk tests/bench/chart.svg tests/cli/helpers.bash \
	$(cli_tests) $(row_tests) $(stress_tests) $(program_tests) \
	$(bench_tests)

.PHONY: check-unit check-long results bench
# BENCH='--only random-write-8 --rounds 9', for example.
bench: all tests/bench/touch$(EXEEXT) tests/bench/pagerank$(EXEEXT) \
	tests/lib/measure$(EXEEXT) tests/lib/lines$(EXEEXT)
	@$(AM_TESTS_ENVIRONMENT) $(top_srcdir)/tests/bench/run $(BENCH)

check-unit:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(unit_tests)'

check-long:
	EM_TEST_LONG=1 EM_TEST_TIMEOUT=604800 $(MAKE) $(AM_MAKEFLAGS) check \
		TESTS='$(stress_tests) $(program_tests)'

# Where tests/lib/tally finds what the last check said.
results:
	@echo $(TEST_LOGS:.log=.trs)
