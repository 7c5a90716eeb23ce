/* SPDX-License-Identifier: MIT
 *
 * The miss-ratio curves of a simulation as SVG: nothing but text is needed to
 * draw one. The look is that of the bench's chart (tests/bench/report.awk).
 */
#include "common.h"
#include "policy_simulate.h"

#include <math.h>

#define WIDTH 820
#define HEIGHT 500
#define LEFT 64.0
#define TOP 64.0
#define PLOT_WIDTH 600.0
#define PLOT_HEIGHT 370.0

/* Colours that are apart from each other on white and on black. */
static const char *const colours[] = {
	"#2f81c7", "#d9822b", "#2e9e5b", "#c8443e", "#8b62c9", "#9a6b4f",
	"#d65a9e", "#7d8a2e", "#1fa3ad", "#5b6ee1", "#b8860b", "#6e7781",
};

static const char style[] =
	"svg { color-scheme: light dark }\n"
	"text { font: 12px system-ui, sans-serif; fill: #1f2328 }\n"
	".small { font-size: 11px; fill: #59636e }\n"
	".title { font-size: 15px; font-weight: 600 }\n"
	".paper { fill: #ffffff } .grid { stroke: #d1d9e0 } .axis { stroke: #59636e }\n"
	".curve { fill: none; stroke-width: 2; stroke-linejoin: round }\n"
	".optimum { fill: none; stroke: #1f2328; stroke-width: 2; stroke-dasharray: 6 4 }\n"
	"@media (prefers-color-scheme: dark) {\n"
	"text { fill: #e6edf3 } .small { fill: #9198a1 } .paper { fill: #0d1117 }\n"
	".grid { stroke: #30363d } .axis { stroke: #9198a1 } .optimum { stroke: #e6edf3 }\n"
	"}\n";

struct chart {
	const struct cmd_simulation *s;
	FILE *f;
	double top; /* the ratio at the upper end of the axis, in percent */
};

static void put_escaped(FILE *f, const char *text)
{
	for (; *text; text++)
		if (*text == '<' || *text == '>' || *text == '&')
			fprintf(f, "&#%d;", *text);
		else
			putc((unsigned char)*text < 0x20 ? '?' : *text, f);
}

static double x_of(const struct chart *c, double units)
{
	return LEFT + units / c->s->trace.units * PLOT_WIDTH;
}

static double y_of(const struct chart *c, double percent)
{
	return TOP + PLOT_HEIGHT - percent / c->top * PLOT_HEIGHT;
}

/* 1, 2 or 5 of a power of ten: five or so of them are the whole. */
static double step_for(double whole)
{
	double power = pow(10, floor(log10(whole / 5)));
	double times = whole / 5 / power;

	return power * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

static double highest(const struct cmd_simulation *s)
{
	double top = 0;

	for (size_t row = 0; row < s->rows; row++)
		for (size_t k = 0; k < s->columns; k++)
			top = fmax(top, cmd_simulation_ratio(s, row, k) * 100);
	return top;
}

static void put_heading(const struct chart *c)
{
	char unit[32];

	fprintf(c->f, "<text x=\"14\" y=\"24\" class=\"title\">References that miss, by memory: ");
	put_escaped(c->f, c->s->name);
	fprintf(c->f, "</text>\n<text x=\"14\" y=\"42\" class=\"small\">%zu references to %u %s; the "
		"optimum (Belady) knows the future</text>\n", c->s->trace.count,
		c->s->trace.units, cmd_simulation_unit(c->s, unit));
}

static void put_axes(const struct chart *c, double step)
{
	char bytes[16];

	for (int i = 0; i * step < c->top * 1.001; i++) {
		double y = y_of(c, i * step);
		fprintf(c->f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n",
			LEFT, y, LEFT + PLOT_WIDTH, y, i ? "grid" : "axis");
		fprintf(c->f, "<text x=\"%.1f\" y=\"%.1f\" class=\"small\" text-anchor=\"end\">%g%%</text>\n",
			LEFT - 8, y + 4, i * step);
	}
	for (int percent = 0; percent <= 100; percent += 20) {
		double units = percent * (double)c->s->trace.units / 100, x = x_of(c, units);
		fprintf(c->f, "<text x=\"%.1f\" y=\"%.1f\" class=\"small\" text-anchor=\"middle\">%d%%</text>\n",
			x, TOP + PLOT_HEIGHT + 16, percent);
		if (percent)
			fprintf(c->f, "<text x=\"%.1f\" y=\"%.1f\" class=\"small\" text-anchor=\"middle\">%s</text>\n",
				x, TOP + PLOT_HEIGHT + 30,
				cmd_human_bytes((uint64_t)(units * c->s->trace.unit_bytes), bytes));
	}
	fprintf(c->f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">memory, of all that is touched</text>\n",
		LEFT + PLOT_WIDTH / 2, TOP + PLOT_HEIGHT + 50);
	fprintf(c->f, "<text transform=\"translate(16 %.1f) rotate(-90)\" text-anchor=\"middle\">miss ratio</text>\n",
		TOP + PLOT_HEIGHT / 2);
}

static void put_look(const struct chart *c, size_t row)
{
	if (c->s->algorithms[row])
		fprintf(c->f, "class=\"curve\" stroke=\"%s\"", colours[row % (sizeof(colours) / sizeof(*colours))]);
	else
		fprintf(c->f, "class=\"optimum\"");
}

static void put_curve(const struct chart *c, size_t row)
{
	const double legend_x = LEFT + PLOT_WIDTH + 20, legend_y = TOP + 8 + 22.0 * (double)row;

	fprintf(c->f, "<polyline ");
	put_look(c, row);
	fprintf(c->f, " points=\"");
	for (size_t k = 0; k < c->s->columns; k++)
		fprintf(c->f, "%s%.1f,%.1f", k ? " " : "", x_of(c, c->s->limits[k]),
			y_of(c, cmd_simulation_ratio(c->s, row, k) * 100));
	fprintf(c->f, "\"/>\n<line ");
	put_look(c, row);
	fprintf(c->f, " x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", legend_x, legend_y,
		legend_x + 28, legend_y);
	fprintf(c->f, "<text x=\"%.1f\" y=\"%.1f\">%s</text>\n", legend_x + 36, legend_y + 4,
		cmd_simulation_row(c->s, row));
}

void cmd_simulation_chart(const struct cmd_simulation *s, FILE *f)
{
	double step = step_for(fmax(highest(s), 1e-3));
	struct chart c = { s, f, ceil(fmax(highest(s), 1e-3) / step) * step };

	fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
		"aria-label=\"miss ratio by memory\">\n<style>\n%s</style>\n"
		"<rect width=\"%d\" height=\"%d\" class=\"paper\"/>\n", WIDTH, HEIGHT, style,
		WIDTH, HEIGHT);
	put_heading(&c);
	put_axes(&c, step);
	for (size_t row = 0; row < s->rows; row++)
		put_curve(&c, row);
	fprintf(f, "</svg>\n");
}
