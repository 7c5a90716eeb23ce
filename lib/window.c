/* SPDX-License-Identifier: MIT */
#include "window.h"
#include "knobs.h"
#include "shm.h"
#include "sys.h"
#include <errno.h>
#include <sys/mman.h>

#define EM_DUMPED_BLOCKS_MIN 64u
/* A sparse window is so many times as large as all that may be in it. */
#define EM_SPARSE_FACTOR 4u
#define EM_SPARSE_MIN (1ul << 30)
#define EM_PARTS 5

size_t em_window_size;

struct part {
	uint64_t start, end;
};

static struct {
	bool sparse;
	unsigned int granule_shift;
	int table_fd;
	_Atomic uint64_t dumped_blocks;
} window = { .table_fd = -1 };

bool em_window_is_sparse(void) { return window.sparse; }
unsigned int em_granule_shift(void) { return window.granule_shift; }

static void describe_tables(void)
{
	*em_table = (struct em_table_header){
		.magic = EM_TABLE_MAGIC,
		.version = EM_SEGMENT_VERSION,
		.granule_pages = 1u << window.granule_shift,
		.window_base = EM_WINDOW_BASE,
		.window_bytes = em_window_size,
		.regions_off = EM_TABLE_REGIONS,
		.blocks_off = EM_TABLE_BLOCKS,
		.granules_off = EM_TABLE_GRANULES,
		.pages_off = EM_TABLE_PAGES,
	};
}

/* In powers of two, so that the mapping is not split and joined all the time. */
void em_window_dump(uint64_t blocks)
{
	uint64_t have = atomic_load(&window.dumped_blocks);
	uint64_t want = EM_DUMPED_BLOCKS_MIN;

	while (want < blocks)
		want *= 2;
	if (want <= have)
		return;
	em_shm_dump(EM_TABLE_BASE + EM_TABLE_BLOCKS,
		    em_round_up(want * sizeof(uint32_t), EM_PAGE_BYTES));
	em_shm_dump(EM_TABLE_BASE + EM_TABLE_PAGES, want * EM_BLOCK_PAGES * sizeof(em_word));
	while (have < want &&
	       !atomic_compare_exchange_weak(&window.dumped_blocks, &have, want))
		;
}

/* The tables were mapped: header and regions go into a core. */
static void start_dump(void)
{
	em_shm_dump(EM_TABLE_BASE, em_round_up(EM_TABLE_REGIONS + EM_REGIONS_MAX *
					       sizeof(struct em_region), EM_PAGE_BYTES));
	atomic_store(&window.dumped_blocks, 0);
	em_window_dump(em_table->block_count);
}

/* ---- sizes ----------------------------------------------------------- */

/* The parts of the tables that a window of this size needs, in order. */
static void size_tables(size_t window_bytes, struct part parts[EM_PARTS])
{
	uint64_t pages = window_bytes >> EM_PAGE_SHIFT;
	const uint64_t bytes[EM_PARTS][2] = {
		{ 0, EM_TABLE_REGIONS + EM_REGIONS_MAX * sizeof(struct em_region) },
		{ EM_TABLE_BLOCKS, pages / EM_BLOCK_PAGES * sizeof(uint32_t) },
		{ EM_TABLE_GRANULES, (pages >> window.granule_shift) * sizeof(uint32_t) },
		{ EM_TABLE_PAGES, pages * sizeof(em_word) },
		{ EM_TABLE_HABITS, pages * sizeof(uint32_t) },
	};

	for (int i = 0; i < EM_PARTS; i++)
		parts[i] = (struct part){ bytes[i][0],
			bytes[i][0] + em_round_up(bytes[i][1], EM_PAGE_BYTES) };
}

static int map_tables(int fd)
{
	struct part parts[EM_PARTS] = { { 0, EM_TABLE_BYTES } };
	int ret = fd < 0 ? fd : 0;

	if (window.sparse)
		size_tables(em_window_size, parts);
	for (int i = 0; i < (window.sparse ? EM_PARTS : 1) && ret == 0; i++)
		ret = em_shm_map(fd, EM_TABLE_BASE + parts[i].start,
				 parts[i].end - parts[i].start, parts[i].start);
	return ret;
}

static size_t sparse_bytes(uint64_t space_bytes, size_t used_bytes)
{
	size_t bytes = EM_SPARSE_MIN;

	while (bytes < EM_WINDOW_MAX && (bytes / EM_SPARSE_FACTOR < space_bytes ||
					 bytes < used_bytes))
		bytes *= 2;
	return bytes;
}

/* A kernel with fewer addresses may leave room for a smaller one only. */
static int reserve_window(void)
{
	uint64_t space = em_sys_space_bytes();
	int ret = -ENOMEM;

	window.sparse = space != EM_SPACE_UNBOUND;
	if (window.sparse) {
		em_window_size = sparse_bytes(space, 0);
		return 0;
	}
	for (size_t bytes = EM_WINDOW_MAX; bytes >= EM_WINDOW_MIN; bytes /= 4) {
		ret = em_sys_reserve(EM_WINDOW_BASE, bytes);
		if (ret == 0) {
			em_window_size = bytes;
			return em_sys_uffd_register(EM_WINDOW_BASE, bytes);
		}
	}
	return ret;
}

int em_window_init(unsigned int granule_pages)
{
	int ret;

	window.granule_shift = (unsigned int)__builtin_ctz(granule_pages);
	ret = reserve_window();
	if (ret == 0) {
		window.table_fd = em_shm_create(EM_TABLE_NAME, EM_TABLE_BYTES);
		ret = map_tables(window.table_fd);
	}
	if (ret < 0) {
		if (em_window_size && !window.sparse)
			em_sys_dealloc((void *)EM_WINDOW_BASE, em_window_size);
		em_window_size = 0;
		return ret;
	}
	describe_tables();
	start_dump();
	return 0;
}

int em_window_commit(uintptr_t addr, size_t bytes, int prot)
{
	int ret;

	if (!window.sparse)
		return prot == PROT_NONE ? 0 : em_sys_protect(addr, bytes, prot);
	ret = em_sys_map(addr, bytes, prot);
	if (ret == 0 && (ret = em_sys_uffd_register(addr, bytes)) < 0)
		em_sys_dealloc((void *)addr, bytes);
	return ret;
}

bool em_window_is_too_large(void)
{
	return em_window_size && !window.sparse && em_protects(EM_KNOB_SPACE) &&
	       em_sys_space_bytes() != EM_SPACE_UNBOUND;
}

void em_window_make_sparse(size_t used_bytes)
{
	/* What was touched once may be in a list yet, though it is unmapped. */
	size_t touched = em_table->block_count * EM_BLOCK_PAGES << EM_PAGE_SHIFT;
	size_t bytes = sparse_bytes(em_sys_space_bytes(), em_max(used_bytes, touched));
	struct part parts[EM_PARTS];

	window.sparse = true;
	if (bytes > em_window_size)
		bytes = em_window_size;
	em_sys_dealloc((void *)(EM_WINDOW_BASE + bytes), em_window_size - bytes);
	em_window_size = bytes;
	em_table->window_bytes = bytes;
	size_tables(bytes, parts);
	for (int i = 0; i < EM_PARTS; i++) {
		uint64_t next = i + 1 < EM_PARTS ? parts[i + 1].start : EM_TABLE_BYTES;
		em_sys_dealloc((void *)(EM_TABLE_BASE + parts[i].end), next - parts[i].end);
	}
}

/* ---- fork ------------------------------------------------------------ */

/* Writes [off, off + bytes) of the tables to the same place in a file. */
static int copy_table(int to, uint64_t off, size_t bytes)
{
	while (bytes) {
		long n = em_sys_pwrite(to, (void *)(EM_TABLE_BASE + off), bytes, off);
		if (n <= 0 && n != -EINTR)
			return n < 0 ? (int)n : -EIO;
		off += n > 0 ? (uint64_t)n : 0;
		bytes -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* The run of touched blocks at or after b: its start and length; false: none. */
static bool next_run(uint64_t *b, uint64_t *count)
{
	uint64_t blocks = em_table->block_count;

	*b += *count;
	while (*b < blocks && !em_blocks[*b])
		++*b;
	*count = 0;
	while (*b + *count < blocks && em_blocks[*b + *count])
		++*count;
	return *count;
}

static uint64_t pages_offset(uint64_t block)
{
	return EM_TABLE_PAGES + block * EM_BLOCK_PAGES * sizeof(em_word);
}

static uint64_t granules_offset(uint64_t block)
{
	return EM_TABLE_GRANULES +
	       (block * EM_BLOCK_PAGES >> window.granule_shift) * sizeof(uint32_t);
}

static int copy_blocks(int to)
{
	uint64_t b = 0, n = 0;
	int ret = copy_table(to, EM_TABLE_BLOCKS, em_table->block_count * sizeof(uint32_t));

	while (ret == 0 && next_run(&b, &n)) {
		ret = copy_table(to, pages_offset(b), pages_offset(b + n) - pages_offset(b));
		if (ret == 0)
			ret = copy_table(to, granules_offset(b),
					 granules_offset(b + n) - granules_offset(b));
	}
	return ret;
}

int em_window_copy(void)
{
	int to = em_shm_create(EM_TABLE_NAME, EM_TABLE_BYTES);
	int ret = to < 0 ? to : copy_table(to, 0, sizeof(struct em_table_header));

	if (ret == 0)
		ret = copy_table(to, EM_TABLE_REGIONS,
				 em_table->region_count * sizeof(struct em_region));
	if (ret == 0)
		ret = copy_blocks(to);
	if (ret == 0)
		return to;
	if (to >= 0)
		em_sys_close(to);
	return ret;
}

/* Region by region, the kernel's own left out: they refuse. */
static int register_regions(void)
{
	int ret = 0;

	for (uint32_t i = 0; i < em_table->region_count && ret == 0; i++) {
		const struct em_region *r = &em_regions[i];
		if (r->source != EM_SOURCE_FOREIGN)
			ret = em_sys_uffd_register(r->start, r->end - r->start);
	}
	return ret;
}

/* All of the window but the kernel's own mappings in it. */
static int register_ours(void)
{
	uintptr_t at = EM_WINDOW_BASE, end = EM_WINDOW_BASE + em_window_size;
	int ret = 0;

	if (window.sparse)
		return register_regions();
	for (uint32_t i = 0; i < em_table->region_count && ret == 0; i++) {
		const struct em_region *r = &em_regions[i];
		if (r->source != EM_SOURCE_FOREIGN)
			continue;
		if (r->start > at)
			ret = em_sys_uffd_register(at, r->start - at);
		at = r->end;
	}
	return ret == 0 && at < end ? em_sys_uffd_register(at, end - at) : ret;
}

int em_window_forked(int copy)
{
	int ret;

	em_sys_close(window.table_fd);
	window.table_fd = copy;
	ret = map_tables(copy);
	if (ret == 0)
		start_dump();
	/* All of it is looked at in a moment: map it in one go, if that works. */
	for (uint64_t b = 0, n = 0; ret == 0 && next_run(&b, &n);)
		em_shm_populate(EM_TABLE_BASE + pages_offset(b),
				pages_offset(b + n) - pages_offset(b));
	return ret < 0 ? ret : register_ours();
}
