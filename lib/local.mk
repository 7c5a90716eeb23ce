# SPDX-License-Identifier: MIT
# libextmem, the preloaded library, and libconf.a, what the commands share
# with it.

noinst_LIBRARIES += lib/libconf.a
lib_libconf_a_SOURCES = lib/config.c lib/config.h lib/yaml.c lib/yaml.h \
	lib/report.c lib/report.h lib/segment.h
lib_libconf_a_CFLAGS = $(AM_CFLAGS) $(EM_SANITIZE) $(LIBYAML_CFLAGS)
