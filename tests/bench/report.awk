# SPDX-License-Identifier: MIT
#
# report.awk: from the figures of bench/run to a table, JSON or a chart.
#
#	awk -v form=table|json|svg -f report.awk FIGURES
#
# One record a line, fields separated by tabs:
#
#	about     KEY VALUE
#	workload  NAME UNIT TARGETS MB LIMIT-MB
#	figure    NAME COLUMN ROUND METRIC VALUE
#	skip      NAME COLUMN REASON
#	together  NAMES REFERENCE COUNT N
#
# The metric "value" is in the workload's unit; of s, ns and us/s less is better.
# A ratio is of speeds, so that more is better always. workloads.sh says what
# targets are. Reckoned by round, where both have a figure of it; then the median.

BEGIN { FS = "\t" }

$1 == "about" { about[$2] = $3; about_keys[++abouts] = $2 }

$1 == "workload" {
	order[++workloads] = $2
	unit[$2] = $3
	targets[$2] = $4
	mb[$2] = $5
	limit[$2] = $6
}

$1 == "figure" {
	if (!(($2, $3) in seen)) {
		seen[$2, $3]
		column[$2, ++columns[$2]] = $3
	}
	if ($4 > rounds)
		rounds = $4
	figure[$2, $3, $4, $5] = $6
}

$1 == "skip" {
	why[$2, $3] = $4
	skip_order[++skips] = $2 SUBSEP $3
}

$1 == "together" {
	together_names[++togethers] = $2
	together_reference[togethers] = $3
	together_count[togethers] = $4
	together_least[togethers] = $5
}

END {
	if (form == "json")
		print_json()
	else if (form == "svg")
		print_svg()
	else
		print_table()
}

# ---- reckoning -------------------------------------------------------------

# Of sample[1..n]: middle, least and most. An even number has its middle between two.
function reckon(n,   i, k, t) {
	for (i = 2; i <= n; i++) {
		t = sample[i]
		for (k = i - 1; k > 0 && sample[k] > t; k--)
			sample[k + 1] = sample[k]
		sample[k + 1] = t
	}
	least = sample[1]
	most = sample[n]
	middle = (sample[int((n + 1) / 2)] + sample[int(n / 2) + 1]) / 2
	return n
}

# Leaves middle, least and most; 0 where there is no figure.
function median_of(name, col, metric,   r, n) {
	n = 0
	for (r = 1; r <= rounds; r++)
		if ((name, col, r, metric) in figure)
			sample[++n] = figure[name, col, r, metric] + 0
	return n ? reckon(n) : 0
}

function less_is_better(name) {
	return unit[name] == "s" || unit[name] == "ns" || unit[name] == "us/s"
}

function speed(name, col, r,   v) {
	v = figure[name, col, r, "value"] + 0
	if (v <= 0)
		return 0
	return less_is_better(name) ? 1 / v : v
}

# The column that a reference means: of "kernel", the one with the better median.
# Spoils middle, least and most, as all that reckons does.
function column_of(name, reference,   i, col, best, best_speed, s) {
	if (reference != "kernel")
		return reference
	for (i = 1; i <= columns[name]; i++) {
		col = column[name, i]
		if (col !~ /^kernel-/ || !median_of(name, col, "value") || middle <= 0)
			continue
		s = less_is_better(name) ? 1 / middle : middle
		if (s > best_speed) {
			best_speed = s
			best = col
		}
	}
	return best
}

# Leaves middle, least and most of the ratios of the rounds; 0 without any.
function ratio_of(name, col, reference,   r, n, a, b) {
	n = 0
	reference = column_of(name, reference)
	for (r = 1; r <= rounds; r++) {
		if (!((name, col, r, "value") in figure) ||
		    !((name, reference, r, "value") in figure))
			continue
		a = speed(name, col, r)
		b = speed(name, reference, r)
		if (a > 0 && b > 0)
			sample[++n] = a / b
	}
	return n ? reckon(n) : 0
}

# Seconds of processor time a GB paged.
function cpu_of(name, col,   r, n, gb) {
	n = 0
	for (r = 1; r <= rounds; r++) {
		gb = figure[name, col, r, "paged_gb"] + 0
		if (gb >= 0.02 && figure[name, col, r, "cpu_s"] > 0)
			sample[++n] = figure[name, col, r, "cpu_s"] / gb
	}
	return n ? reckon(n) : 0
}

# Reads a target; leaves wanted, reference, the column it refers to, got, verdict,
# and the spread of got in middle, least and most.
function judge(name, target,   part, found) {
	split(target, part, ":")
	reference = part[1]
	wanted = part[2]
	referred = column_of(name, reference)
	if (reference == "at-most")
		found = median_of(name, "extmem", "value")
	else
		found = ratio_of(name, "extmem", reference)
	got = middle
	verdict = ""
	if (wanted == "-")
		return found
	if (!found)
		verdict = "no figure"
	else if (reference == "at-most")
		verdict = got <= wanted + 0 ? "met" : "NOT MET"
	else
		verdict = got >= wanted + 0 ? "met" : "NOT MET"
	return found
}

# ---- a table ---------------------------------------------------------------

# Three digits, with k, M or G.
function short(v,   s) {
	s = ""
	if (v >= 1e9) { v /= 1e9; s = "G" }
	else if (v >= 1e6) { v /= 1e6; s = "M" }
	else if (v >= 1e4) { v /= 1e3; s = "k" }
	return sprintf(v >= 100 ? "%.0f%s" : v >= 10 ? "%.1f%s" : "%.2f%s", v, s)
}

function cell(name, col) {
	return median_of(name, col, "value") ? short(middle) : "-"
}

function spread(name, col) {
	return median_of(name, col, "value") ? short(least) ".." short(most) : ""
}

function kernel_cell(name,   col, setting) {
	col = column_of(name, "kernel")
	if (col == "")
		return "-"
	setting = col
	sub(/kernel-/, "", setting)
	return cell(name, col) "/" setting
}

function print_row(name,   n, i, all, line) {
	line = sprintf("%-16s %-12s %8s %9s %8s %-13s %7s %7s", name, unit[name],
		       cell(name, "native"), kernel_cell(name), cell(name, "extmem"),
		       spread(name, "extmem"), cell(name, "floor"), cell(name, "fio"))
	n = split(targets[name], all, " ")
	for (i = 1; i <= n; i++) {
		if (judge(name, all[i]))
			printf "%-88s %6s %-11s %-9s %6s  %s\n", line,
				sprintf(reference == "at-most" ? "%.0f" : "%.2f", got),
				sprintf("%.2f..%.2f", least, most), reference, wanted, verdict
		else
			printf "%-88s %6s %-11s %-9s %6s  %s\n", line, "-", "", reference, wanted, verdict
		count[verdict]++
		line = ""
	}
	if (ratio_of(name, "extmem", "other"))
		printf "%-88s %6.2f %-11s %s\n", "", middle, sprintf("%.2f..%.2f", least, most),
			"other"
}

function print_together(i,   n, k, all, above, known) {
	n = split(together_names[i], all, ",")
	for (k = 1; k <= n; k++)
		if (ratio_of(all[k], "extmem", together_reference[i])) {
			known++
			above += (middle >= together_least[i])
		}
	if (known == n)
		printf "%s: %d of %d at %s times the %s or more, %d wanted: %s\n",
			together_names[i], above, n, together_least[i], together_reference[i],
			together_count[i], (above >= together_count[i] ? "met" : "NOT MET")
}

function print_cpu(   i, name, col, kernel, ours, head) {
	for (i = 1; i <= workloads; i++) {
		name = order[i]
		col = column_of(name, "kernel")
		kernel = cpu_of(name, col) ? middle : 0
		ours = cpu_of(name, "extmem") ? middle : 0
		if (!ours || panel_of(name) != "kernel")
			continue
		if (!head++)
			printf "\nprocessor seconds a GB paged, in and out, the program's own included\n" \
				"%-16s %8s %8s %6s\n", "", "kernel", "extmem", "x"
		printf "%-16s %8s %8.2f %6s\n", name, kernel ? sprintf("%.2f", kernel) : "-", ours,
			kernel ? sprintf("%.2f", kernel / ours) : "-"
	}
}

function print_latencies(   i, k, name, kinds, kind, head, line, any) {
	split("first soft major", kinds, " ")
	for (i = 1; i <= workloads; i++) {
		name = order[i]
		line = sprintf("%-16s", name)
		any = 0
		for (k = 1; k <= 3; k++) {
			kind = kinds[k]
			if (median_of(name, "extmem", kind ".count") && middle >= 100) {
				any = 1
				median_of(name, "extmem", kind ".p50_ns")
				line = line sprintf("  %7.1f", middle / 1000)
				median_of(name, "extmem", kind ".p99_ns")
				line = line sprintf(" %8.1f", middle / 1000)
			} else {
				line = line sprintf("  %7s %8s", "-", "-")
			}
		}
		if (!any)
			continue
		if (!head++)
			printf "\nmicroseconds a fault under extmem\n%-16s  %16s  %16s  %16s\n" \
				"%-16s  %7s %8s  %7s %8s  %7s %8s\n", "", "first touch", "soft", "major",
				"", "median", "99%", "median", "99%", "median", "99%"
		print line
	}
}

# Each reason once, with all that it kept from running.
function print_skips(   i, part, key, n, keys, names) {
	for (i = 1; i <= skips; i++) {
		split(skip_order[i], part, SUBSEP)
		key = part[2] ": " why[part[1], part[2]]
		if (!(key in names))
			keys[++n] = key
		names[key] = names[key] (names[key] == "" ? "" : ", ") part[1]
	}
	for (i = 1; i <= n; i++)
		printf "%swithout %s (%s)\n", (i == 1 ? "\n" : ""), keys[i], names[keys[i]]
}

function print_table(   i) {
	printf "%s, policy %s; %s; %s; median of %s\n", about["version"], about["policy"],
		about["machine"], about["date"], about["rounds"]
	printf "%-16s %-12s %8s %9s %8s %-13s %7s %7s %6s %-11s %-9s %6s\n", "", "", "native",
		"kernel/pc", "extmem", "", "floor", "fio", "ratio", "", "to", "target"
	for (i = 1; i <= workloads; i++)
		print_row(order[i])
	for (i = 1; i <= togethers; i++)
		print_together(i)
	printf "targets: %d met, %d not met, %d without a figure\n", count["met"],
		count["NOT MET"], count["no figure"]
	print_cpu()
	print_latencies()
	print_skips()
}

# ---- JSON ------------------------------------------------------------------

function quoted(s) {
	gsub(/\\/, "\\\\", s)
	gsub(/"/, "\\\"", s)
	gsub(/[\001-\037]/, " ", s)
	return "\"" s "\""
}

# Numbers stay as they were measured.
function number(s) {
	return s ~ /^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$/ ? s : "null"
}

function json_spread() {
	return sprintf("\"median\": %.6g, \"min\": %.6g, \"max\": %.6g", middle, least, most)
}

# Every metric of a column: median, min, max, and the rounds as they were.
function json_column(name, col,   key, part, metrics, n, i, r, out, list, sep, known) {
	for (key in figure) {
		split(key, part, SUBSEP)
		if (part[1] == name && part[2] == col && !(part[4] in list)) {
			list[part[4]]
			metrics[++n] = part[4]
		}
	}
	sort_words(metrics, n)
	for (i = 1; i <= n; i++) {
		median_of(name, col, metrics[i])
		out = out (i > 1 ? ", " : "") quoted(metrics[i]) ": {" json_spread() ", \"rounds\": ["
		sep = ""
		for (r = 1; r <= rounds; r++) {
			known = (name, col, r, metrics[i]) in figure
			out = out sep (known ? number(figure[name, col, r, metrics[i]]) : "null")
			sep = ", "
		}
		out = out "]}"
	}
	if (cpu_of(name, col))
		out = out ", \"cpu_s_per_gb\": {" json_spread() "}"
	return "{" out "}"
}

function sort_words(words, n,   i, k, t) {
	for (i = 2; i <= n; i++) {
		t = words[i]
		for (k = i - 1; k > 0 && words[k] > t; k--)
			words[k + 1] = words[k]
		words[k + 1] = t
	}
}

function json_targets(name,   n, i, all, out) {
	n = split(targets[name], all, " ")
	for (i = 1; i <= n; i++) {
		out = out (i > 1 ? ", " : "")
		if (judge(name, all[i]))
			out = out sprintf("{\"reference\": %s, \"column\": %s, \"target\": %s, %s, \"met\": %s}",
				quoted(reference), quoted(referred), number(wanted),
				json_spread(), wanted == "-" ? "null" : verdict == "met" ? "true" : "false")
		else
			out = out sprintf("{\"reference\": %s, \"target\": %s, \"met\": null}",
				quoted(reference), number(wanted))
	}
	return "[" out "]"
}

function json_skips(name,   i, part, out) {
	for (i = 1; i <= skips; i++) {
		split(skip_order[i], part, SUBSEP)
		if (part[1] == name)
			out = out (out == "" ? "" : ", ") quoted(part[2]) ": " quoted(why[part[1], part[2]])
	}
	return "{" out "}"
}

function print_json(   i, k, name) {
	print "{"
	printf "  \"about\": {"
	for (i = 1; i <= abouts; i++)
		printf "%s%s: %s", (i > 1 ? ", " : ""), quoted(about_keys[i]), quoted(about[about_keys[i]])
	print "},\n  \"workloads\": ["
	for (i = 1; i <= workloads; i++) {
		name = order[i]
		printf "    {\"name\": %s, \"unit\": %s, \"less_is_better\": %s, \"mb\": %s, " \
			"\"limit_mb\": %s,\n     \"columns\": {", quoted(name), quoted(unit[name]),
			less_is_better(name) ? "true" : "false", number(mb[name]), number(limit[name])
		for (k = 1; k <= columns[name]; k++)
			printf "%s\n       %s: %s", (k > 1 ? "," : ""), quoted(column[name, k]),
				json_column(name, column[name, k])
		printf "},\n     \"ratios\": %s,\n     \"skipped\": %s}%s\n", json_targets(name),
			json_skips(name), (i < workloads ? "," : "")
	}
	print "  ]\n}"
}

# ---- a chart ---------------------------------------------------------------
# One bar a workload, from 1 to the ratio, on a logarithmic axis; a panel for
# each reference. It brings its own colours for light and dark.

function escaped(s) {
	gsub(/&/, "\\&amp;", s)
	gsub(/</, "\\&lt;", s)
	gsub(/>/, "\\&gt;", s)
	return s
}

function at(v) {
	if (v < low)
		v = low
	if (v > high)
		v = high
	return left + width * (log(v) - log(low)) / (log(high) - log(low))
}

# What the chart compares with: the reference of the first target.
function chart_reference(name,   part) {
	split(targets[name], part, ":")
	return part[1]
}

# The panel that it stands in: all settings of the kernel's swap share one.
function panel_of(name,   reference) {
	reference = chart_reference(name)
	return reference ~ /^kernel/ ? "kernel" : reference
}

function widen(v) {
	if (v < low)
		low = v
	if (v > high)
		high = v
}

# Collects a panel's rows, which decide how far its axis goes.
function collect(panel,   i, name, part) {
	rows = 0
	low = 0.8
	high = 1.25
	for (i = 1; i <= workloads; i++) {
		name = order[i]
		if (panel_of(name) != panel || !ratio_of(name, "extmem", chart_reference(name)))
			continue
		row_name[++rows] = name
		row_ratio[rows] = middle
		row_least[rows] = least
		row_most[rows] = most
		widen(least)
		widen(most)
		split(targets[name], part, "[: ]")
		row_target[rows] = part[2] + 0
		if (row_target[rows])
			widen(row_target[rows])
	}
	low /= 1.1
	high *= 1.1
}

function svg_text(x, y, class, anchor, text) {
	svg = svg sprintf("<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">%s</text>\n",
			  x, y, class, anchor, escaped(text))
}

function svg_line(x1, y1, x2, y2, class) {
	svg = svg sprintf("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n",
			  x1, y1, x2, y2, class)
}

function svg_axis(y1, y2,   tick, ticks, i, n, x, last) {
	n = split("0.01 0.02 0.05 0.1 0.2 0.5 0.7 0.8 0.9 1 1.1 1.2 1.5 2 3 5 10 20 50 100 200 500 1000", ticks, " ")
	last = -1e9
	for (i = 1; i <= n; i++) {
		tick = ticks[i] + 0
		if (tick < low || tick > high)
			continue
		x = at(tick)
		if (tick != 1 && (x - last < 30 || (tick < 1 && at(1) - x < 30)))
			continue
		last = x
		svg_line(x, y1, x, y2, tick == 1 ? "one" : "grid")
		svg_text(x, y2 + 14, "small", "middle", ticks[i] "×")
	}
}

function svg_row(r, y,   name, a, b, class, reference) {
	name = row_name[r]
	a = at(1)
	b = at(row_ratio[r])
	class = !row_target[r] ? "free" : row_ratio[r] >= row_target[r] ? "met" : "missed"
	svg = svg sprintf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"12\" rx=\"2\" class=\"%s\"/>\n",
			  a < b ? a : b, y + 4, a < b ? b - a : a - b, class)
	svg_line(at(row_least[r]), y + 10, at(row_most[r]), y + 10, "spread")
	if (row_target[r])
		svg_line(at(row_target[r]), y + 1, at(row_target[r]), y + 19, "target")
	svg_text(left - 10, y + 14, "label", "end", name)
	reference = column_of(name, chart_reference(name))
	svg_text(left + width + 12, y + 14, "head", "start", sprintf("%.2f×", row_ratio[r]))
	svg_text(left + width + 64, y + 14, "label", "start",
		 cell(name, "extmem") " against " cell(name, reference) " " unit[name])
}

function svg_panel(reference, title,   r, top) {
	collect(reference)
	if (!rows)
		return
	svg_text(left, down + 14, "head", "start", title)
	top = down + 24
	svg_axis(top, top + rows * 20)
	for (r = 1; r <= rows; r++)
		svg_row(r, top + (r - 1) * 20)
	down = top + rows * 20 + 34
}

# Plain rules for each: not every reader of SVG knows variables.
function svg_colours(ink, soft, grid, paper, met, missed, free) {
	return "text { fill: " ink " } .small { fill: " soft " } .paper { fill: " paper " }\n" \
		".grid { stroke: " grid " } .one { stroke: " soft " }\n" \
		".spread { stroke: " ink " } .target { stroke: " ink " }\n" \
		".met { fill: " met " } .missed { fill: " missed " } .free { fill: " free " }\n"
}

function svg_style() {
	return "svg { color-scheme: light dark }\ntext { font: 12px system-ui, sans-serif }\n" \
		".small { font-size: 11px } .head { font-weight: 600 }\n" \
		".title { font-size: 15px; font-weight: 600 }\n" \
		".spread { stroke-width: 1.5; opacity: .6 } .target { stroke-width: 2 }\n" \
		svg_colours("#1f2328", "#59636e", "#d1d9e0", "#ffffff", "#2f81c7", "#d9822b", "#8a94a0") \
		"@media (prefers-color-scheme: dark) {\n" \
		svg_colours("#e6edf3", "#9198a1", "#30363d", "#0d1117", "#4a9ae0", "#e0913f", "#7d8793") \
		"}\n"
}

function svg_legend(   y) {
	y = down + 2
	svg = svg sprintf("<rect x=\"%d\" y=\"%d\" width=\"20\" height=\"10\" rx=\"2\" class=\"met\"/>\n", left, y)
	svg_text(left + 26, y + 9, "small", "start", "target met")
	svg = svg sprintf("<rect x=\"%d\" y=\"%d\" width=\"20\" height=\"10\" rx=\"2\" class=\"missed\"/>\n", left + 110, y)
	svg_text(left + 136, y + 9, "small", "start", "not met")
	svg = svg sprintf("<rect x=\"%d\" y=\"%d\" width=\"20\" height=\"10\" rx=\"2\" class=\"free\"/>\n", left + 200, y)
	svg_text(left + 226, y + 9, "small", "start", "no target")
	svg_line(left + 300, y - 2, left + 300, y + 12, "target")
	svg_text(left + 308, y + 9, "small", "start", "the target")
	svg_line(left + 380, y + 5, left + 400, y + 5, "spread")
	svg_text(left + 406, y + 9, "small", "start", "least to most of the rounds")
	down = y + 20
}

function print_svg() {
	left = 130
	width = 400
	down = 58
	svg = ""
	svg_panel("kernel", "Speed, the kernel's own swap = 1")
	svg_panel("native", "Speed of what fits its limit, alone = 1")
	svg_panel("floor", "Speed of one fault, the smallest pager there can be = 1")
	svg_panel("extmem-lru", "Speed under a policy made for the pattern, under the default = 1")
	svg_panel("extmem-1g", "Speed of a fault in 256 GB of reserved memory, in 1 GB = 1")
	svg_legend()
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 820 %d\" role=\"img\"" \
		" aria-label=\"extmem beside the kernel's own swap\">\n", down
	printf "<style>\n%s</style>\n", svg_style()
	printf "<rect width=\"820\" height=\"%d\" class=\"paper\"/>\n", down
	printf "%s", "<text x=\"14\" y=\"24\" class=\"title\">extmem beside the kernel's own swap: " \
		"same limit, same disk</text>\n"
	printf "<text x=\"14\" y=\"42\" class=\"small\">%s</text>\n", escaped(about["version"] \
		", policy " about["policy"] "; " about["machine"] "; median of " about["rounds"] \
		" rounds; logarithmic axes")
	printf "%s</svg>\n", svg
}
