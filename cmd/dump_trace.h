#ifndef CMD_DUMP_TRACE_H
#define CMD_DUMP_TRACE_H

/*
 * Prints what `extmem run --trace` recorded in a file, or - for the standard
 * input. format: "txt", "csv" or "json"; dies with status 2 on any other.
 */
void cmd_dump_trace(const char *file, const char *format);

#endif
