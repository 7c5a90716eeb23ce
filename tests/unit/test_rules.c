/* SPDX-License-Identifier: MIT
 *
 * Rules: which patterns fit, which rule holds for a region, and that it still is
 * the right one after the region changed.
 */
#include "rules.h"
#include "world.h"

#include <errno.h>

static const struct {
	const char *pattern, *word;
	bool fits;
} patterns[] = {
	{ "*", "", true }, { "*", "graph", true }, { "", "", true }, { "", "a", false },
	{ "graph", "graph", true }, { "graph", "graphs", false }, { "graphs", "graph", false },
	{ "graph*", "graph", true }, { "graph*", "graph edges", true }, { "*edges", "graph edges", true },
	{ "*edges", "graph edges 2", false }, { "g?aph", "graph", true }, { "g?aph", "gaph", false },
	{ "?", "", false }, { "*a*b", "xxaxbab", true }, { "*a*b", "xxaxbaba", false },
	{ "a*b*c", "abbbbc", true }, { "a*b*c", "acb", false }, { "**", "", true },
	{ "lib*.so*", "libfoo.so.1", true }, { "lib*.so", "libfoo.so.1", false },
};

static void test_patterns(void)
{
	for (size_t i = 0; i < EM_ARRAY_LEN(patterns); i++)
		is_int(em_rules_fits(patterns[i].pattern, patterns[i].word), patterns[i].fits,
		       "'%s' and '%s'", patterns[i].pattern, patterns[i].word);
}

static void set_rules(const char *text)
{
	static struct em_config cfg;
	char err[256];

	em_config_init(&cfg);
	is_int(em_config_load(&cfg, text, err, sizeof(err)), 0, "rules%s", err);
	em_rules_set(&cfg);
}

static struct em_region a_region(void)
{
	return (struct em_region){
		.start = EM_WINDOW_BASE, .end = EM_WINDOW_BASE + (64 << 20),
		.asked_bytes = 64 << 20, .prot = PROT_READ | PROT_WRITE,
		.source = EM_SOURCE_MMAP, .name = "graph",
		.caller = (uintptr_t)a_region,
	};
}

static void test_conditions(void)
{
	static const struct {
		const char *rule;
		uint32_t holds;
	} table[] = {
		{ "priority=0", 1 },
		{ "match.size=>=64M", 1 }, { "match.size=>=65M", 0 },
		{ "match.size=<=64M", 1 }, { "match.size=<=63M", 0 },
		{ "match.source=mmap", 1 }, { "match.source=heap", 0 },
		{ "match.prot=rw", 1 }, { "match.prot=r", 0 }, { "match.prot=rwx", 0 },
		{ "match.name=gr*", 1 }, { "match.name=index", 0 },
		{ "match.hint=normal", 1 }, { "match.hint=random", 0 },
		{ "match.caller=*test_rules", 1 }, { "match.caller=libc.so*", 0 },
	};
	char text[96];

	for (size_t i = 0; i < EM_ARRAY_LEN(table); i++) {
		struct em_region r = a_region();
		snprintf(text, sizeof(text), "regions[0].%s\n", table[i].rule);
		set_rules(text);
		is_int(em_rules_match(&r), table[i].holds, "%s", table[i].rule);
	}
	set_rules("regions[0].match.name=index\nregions[1].match.size=>=1M\n"
		  "regions[2].match.name=graph\n");
	struct em_region r = a_region();
	is_int(em_rules_match(&r), 2, "of two that match, the first one holds");
	r.caller = 0;
	set_rules("regions[0].match.caller=*x*\n");
	is_int(em_rules_match(&r), 0, "of an unknown caller only '*' is true");
}

static uint32_t rule_at(uintptr_t addr)
{
	struct em_region r;

	return em_region_find(addr, &r) ? r.rule : 99;
}

static void in_regions(const void *arg)
{
	static struct em_config cfg;
	uintptr_t addr;
	size_t bytes = 64 * PAGE;

	(void)arg;
	start_world(spawn_nothing, "regions[0].match.hint=random\nregions[0].prefetch.algorithm=none\n"
		    "regions[1].match.name=graph\nregions[2].match.prot=r\n"
		    "regions[3].match.source=heap\nregions[3].manage=never\n"
		    "regions[1].prefetch.algorithm=sequential");
	is_int(em_region_map(bytes, PAGE, PROT_READ | PROT_WRITE,
			     (struct em_origin){ EM_SOURCE_MMAP, 0 }, &addr), 0, "a mapping");
	is_int(rule_at(addr), 0, "no rule holds");
	is_int(em_region_name(addr, bytes / 2, "graph"), 0, "half of it is named");
	is_int(rule_at(addr), 2, "and has a rule");
	is_int(em_region_foresight(addr), EM_SEES_SEQUENCE, "of memory that is gone through");
	is_int(em_region_foresight(addr + bytes / 2), EM_SEES_ALL, "as the rest need not be");
	is_int(rule_at(addr + bytes / 2), 0, "the other half has none");
	em_region_protect(addr + bytes / 2, bytes / 2, PROT_READ);
	is_int(rule_at(addr + bytes / 2), 3, "until it may only be read");
	em_region_hint(addr, bytes, EM_HINT_RANDOM);
	is_int(rule_at(addr), 1, "an earlier rule wins");
	is_int(rule_at(addr + bytes / 2), 1, "for both");
	is_int(em_region_foresight(addr), EM_SEES_NOTHING, "nothing is read ahead there");
	em_region_hint(addr, bytes, EM_HINT_NORMAL);
	is_int(em_region_foresight(addr), EM_SEES_SEQUENCE, "and gone through in order again");
	is_int(rule_at(addr), 2, "and the name is still known");
	is_int(em_region_rule_of((uint32_t)em_granule_of(em_page_of(addr))), 2,
	       "its first granule is of that rule");
	ok(em_region_is_unwanted(bytes, PROT_READ | PROT_WRITE,
				 (struct em_origin){ EM_SOURCE_HEAP, 0 }),
	   "the kernel is to have the heap");
	ok(!em_region_is_unwanted(bytes, PROT_READ | PROT_WRITE,
				  (struct em_origin){ EM_SOURCE_MMAP, 0 }), "and only that");
	em_config_init(&cfg);
	em_region_set_rules(&cfg);
	is_int(rule_at(addr), 0, "without rules, none holds");
	is_int(em_region_name(addr, bytes * 2, "too far"), -ENOMEM, "a gap has no name");
}

/* Rules by size must not make of one mapping two that cannot be moved together. */
static void remapped(const void *arg)
{
	uintptr_t addr, moved;
	size_t bytes = 64 * PAGE;
	char text[160];

	(void)arg;
	snprintf(text, sizeof(text), "regions[0].match.size=>=%zu\n"
		 "regions[1].match.size=<=%zu", 65 * PAGE, 20 * PAGE);
	start_world(spawn_nothing, text);
	is_int(em_region_map(bytes, PAGE, PROT_READ | PROT_WRITE,
			     (struct em_origin){ EM_SOURCE_MMAP, 0 }, &addr), 0, "a mapping");
	is_int(rule_at(addr), 0, "no rule holds");
	is_int(em_region_remap(addr, bytes, bytes + 16 * PAGE, 0, 0, &moved), 0, "it grows");
	is_int(moved, addr, "in place");
	is_int(rule_at(addr), 1, "now it is large");
	is_int(rule_at(addr + bytes), 1, "all of it");
	is_int(em_region_map_at(addr + bytes + 16 * PAGE, 16 * PAGE, PROT_READ | PROT_WRITE,
				(struct em_origin){ EM_SOURCE_MMAP, 0 }), 0, "one more behind it");
	is_int(rule_at(addr + bytes + 16 * PAGE), 2, "is small");
	is_int(em_region_remap(addr, bytes + 32 * PAGE, bytes + 48 * PAGE, MREMAP_MAYMOVE, 0,
			       &moved), 0, "both are one to mremap");
	is_int(em_region_remap(moved, bytes + 48 * PAGE, bytes * 4, MREMAP_MAYMOVE, 0, &moved),
	       0, "and again");
	is_int(rule_at(moved + bytes * 4 - PAGE), 1, "with one rule");
	is_int(em_region_remap(moved, bytes * 5, bytes * 6, MREMAP_MAYMOVE, 0, &moved), -EFAULT,
	       "what is not mapped is not moved");
}

int main(void)
{
	test_patterns();
	test_conditions();
	in_child("regions", in_regions, NULL);
	in_child("remapped", remapped, NULL);
	return done_testing();
}
