#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# extmem policy, as a user meets it. EXTMEM names the command under test; by
# default the one in build/.

bats_require_minimum_version 1.5.0

algorithms="fifo clock lru 2q car s3fifo sieve clock2q+ lirs mru random hyperbolic"

setup() {
	srcdir=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	EXTMEM=$(realpath "${EXTMEM:-$srcdir/build/extmem}")
	export EXTMEM
	cd "$BATS_TEST_TMPDIR" || return 1
	unset EXTMEM_POLICY_PATH
	export LC_ALL=C COLUMNS=80
}

# The installed policies, in a folder of our own that a test may change.
own_policies() {
	mkdir policies
	cp "$srcdir"/share/policies/*.yaml policies/
	export EXTMEM_POLICY_PATH=$PWD/policies
}

policy() {
	"$EXTMEM" policy "$@"
}

# equal GOT WANTED
equal() {
	[ "$1" = "$2" ] || diff <(printf '%s\n' "$1") <(printf '%s\n' "$2")
}

json() {
	python3 -c 'import json, sys
v = json.load(sys.stdin)
print(eval(sys.argv[1], {"v": v, "len": len, "sorted": sorted}))' "$1"
}

# ---- list --------------------------------------------------------------------

@test "list names every shipped policy, its algorithm and limit" {
	own_policies
	run --separate-stderr policy list
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[[ ${lines[0]} =~ ^NAME\ +ALGORITHM\ +LIMIT\ +DESCRIPTION$ ]]
	equal "${#lines[@]}" 14
	for algorithm in $algorithms; do
		grep -Eq "^${algorithm//+/\\+} +${algorithm//+/\\+} +auto +[A-Z]" <<<"$output"
	done
	grep -Eq '^default +lru +auto +[A-Z]' <<<"$output"
}

@test "list works without EXTMEM_POLICY_PATH" {
	run --separate-stderr policy list
	[ "$status" -eq 0 ]
	grep -Eq '^fifo +fifo ' <<<"$output"
}

@test "list takes the first comment as description, and the limit as written" {
	mkdir policies
	export EXTMEM_POLICY_PATH=$PWD/policies
	printf '\n##  For the night run \n# more\nlimits: {memory: 12.5%%}\n' \
		>policies/night.yaml
	printf 'eviction: {algorithm: fifo}\n' >policies/plain.yaml
	printf 'no policy' >policies/README
	printf 'no policy' >policies/.hidden.yaml
	run --separate-stderr policy list
	[ "$status" -eq 0 ]
	grep -Eq '^default +lru +auto +the built-in policy$' <<<"$output"
	grep -Eq '^night +lru +12\.5% +For the night run' <<<"$output"
	grep -Eq '^plain +fifo +auto' <<<"$output"
	equal "${#lines[@]}" 4
}

@test "list --json is an array that says the same" {
	own_policies
	policy list --json >list.json
	equal "$(json 'sorted(p["name"] for p in v)' <list.json)" \
		"$(printf '%s\n' default $algorithms | sort | sed "s/.*/'&'/" | paste -sd, | sed 's/,/, /g; s/.*/[&]/')"
	equal "$(json '[p for p in v if p["name"] == "fifo"][0]["algorithm"]' \
		<list.json)" fifo
	equal "$(json '[p for p in v if p["name"] == "lru"][0]["file"]' \
		<list.json)" "$PWD/policies/lru.yaml"
	equal "$(json 'sorted(v[0])' <list.json)" \
		"['algorithm', 'description', 'file', 'limit', 'name']"
}

@test "list --json escapes what JSON must escape" {
	mkdir policies
	export EXTMEM_POLICY_PATH=$PWD/policies
	printf '# a "b" \\c\tü\n' >policies/odd.yaml
	policy list --json >list.json
	equal "$(json 'v[0]["file"]' <list.json)" None
	equal "$(json 'v[1]["description"] == "a \"b\" \\c\t\u00fc"' \
		<list.json)" True
}

@test "list reports a bad file, lists the others, and exits with 1" {
	own_policies
	printf 'limits: {memroy: 1G}\n' >policies/bad.yaml
	run --separate-stderr policy list
	[ "$status" -eq 1 ]
	equal "$stderr" "extmem policy: $PWD/policies/bad.yaml:1:10: unknown key 'memroy', did you mean 'memory'?"
	grep -q '^fifo ' <<<"$output"
	grep -q '^lru ' <<<"$output"
	run ! grep -q '^bad ' <<<"$output"
}

@test "list without a folder of policies still has the built-in one" {
	EXTMEM_POLICY_PATH=$PWD/none run --separate-stderr policy list
	[ "$status" -eq 1 ]
	equal "$stderr" "extmem policy: cannot read '$PWD/none': No such file or directory"
	grep -Eq '^default +lru +auto +the built-in policy$' <<<"$output"
}

@test "list takes no name" {
	run --separate-stderr policy list lru
	[ "$status" -eq 2 ]
	[ -z "$output" ]
	equal "$stderr" "extmem policy: unexpected 'lru' after 'list': it takes no name"
}

# ---- show --------------------------------------------------------------------

@test "show prints the built-in policy, which default.yaml is, too" {
	policy show >builtin.yaml
	head -3 builtin.yaml | diff - <(printf 'version: 1\nlimits:\n  memory: auto\n')
	policy show "$srcdir/share/policies/default.yaml" | diff builtin.yaml -
	policy show default | diff builtin.yaml -
}

@test "show default works where no file has that name" {
	mkdir none
	policy show >builtin.yaml
	EXTMEM_POLICY_PATH=$PWD/none policy show default | diff builtin.yaml -
}

@test "show knows installed policies by name, and files by path" {
	own_policies
	for name in $algorithms; do
		policy show "$name" >"shown"
		grep -qx "  algorithm: $name" shown
		policy show "policies/$name.yaml" | diff shown -
	done
	cp policies/fifo.yaml here.yaml
	policy show here.yaml | grep -qx '  algorithm: fifo'
}

@test "what show prints can be fed back, and stays the same" {
	cat >mine.yaml <<-'END'
		limits: {memory: 1.5G, on_full: abort}
		watermarks: {low: 2.5%, high: 128M}
		manage: {min_size: 8192, heap: false}
		eviction: {algorithm: clock, way_out: move, granule: 64K, standby: 10%, params: {}}
		prefetch: {readahead: 0}
		faults: {delivery: signal, syscall_net: off}
		tiers:
		  - {path: "/with \"quotes\": and ü", max: 8G}
		  - path: /second
		regions:
		  - match: {size: ">=64M", name: "graph*"}
		    eviction: {algorithm: lru, params: {active: 70}}
		    priority: -2
		  - {pin: true, match: {caller: "lib?.so"}, max: 10%}
	END
	policy show mine.yaml >once.yaml
	policy check once.yaml
	policy show ./once.yaml >twice.yaml
	diff once.yaml twice.yaml
	policy show - <once.yaml | diff once.yaml -
	grep -qx '  memory: 1536M' once.yaml
	grep -qx '  min_size: 8K' once.yaml
	grep -qx '    path: "/with \\"quotes\\": and ü"' once.yaml
}

@test "show --json has every key, and is a policy file itself" {
	policy show --json >show.json
	equal "$(json 'v["version"], v["manage"]["heap"], v["limits"]["memory"], v["tiers"]' \
		<show.json)" \
		"(1, True, 'auto', [{'type': 'file', 'path': '/var/tmp', 'max': '0'}])"
	equal "$(json 'sorted(k + "." + l for k in v if k not in ("version", "tiers", "regions") for l in v[k])' \
		<show.json)" \
		"['autotune.min', 'autotune.refault_rate', 'eviction.algorithm', 'eviction.granule', 'eviction.params', 'eviction.spare', 'eviction.standby', 'eviction.way_out', 'faults.delivery', 'faults.syscall_net', 'limits.memory', 'limits.on_full', 'manage.heap', 'manage.min_size', 'prefetch.algorithm', 'prefetch.params', 'prefetch.readahead', 'prefetch.recording', 'quotas.faults', 'quotas.io_bandwidth', 'watermarks.high', 'watermarks.low']"
	policy show >show.yaml
	policy show - <show.json | diff show.yaml -
	printf 'regions: [{match: {size: "<=2M"}, eviction: {algorithm: 2q, params: {in: 30}}}, {}]' >rules.yaml
	policy show --json rules.yaml >show.json
	equal "$(json 'v["regions"][0]["match"]["size"], v["regions"][0]["eviction"], v["regions"][1]["pin"], v["regions"][1]["priority"]' <show.json)" \
		"('<=2M', {'algorithm': '2q', 'params': {'in': 30}}, False, 0)"
	policy show rules.yaml | diff - <(policy show - <show.json)
}

@test "show says which policy there is no file of, and which was meant" {
	own_policies
	run --separate-stderr policy show fifi
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	[[ $stderr == "extmem policy: "*"'fifi'"*"'fifo'"* ]]
	run --separate-stderr policy show ./none.yaml
	[ "$status" -eq 1 ]
	equal "$stderr" "extmem policy: cannot open './none.yaml': No such file or directory"
}

@test "show refuses a bad file with its place" {
	printf 'version: 1\nlimits:\n  memory: 12Q\n' >bad.yaml
	run --separate-stderr policy show bad.yaml
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	equal "$stderr" "extmem policy: bad.yaml:3:11: 'limits.memory' is '12Q': expected a size such as 512M or 1.5G, a percentage such as 25%, or auto"
}

@test "show takes one policy" {
	run --separate-stderr policy show fifo lru
	[ "$status" -eq 2 ]
	equal "$stderr" "extmem policy: unexpected 'lru': 'show' takes one policy"
}

@test "a full disk is noticed" {
	run --separate-stderr bash -c '"$EXTMEM" policy show >/dev/full'
	[ "$status" -eq 1 ]
	[[ $stderr == "extmem policy: cannot write"* ]]
	run --separate-stderr bash -c '"$EXTMEM" policy list >/dev/full'
	[ "$status" -eq 1 ]
	[[ $stderr == "extmem policy: cannot write"* ]]
}

# ---- check -------------------------------------------------------------------

@test "check passes every shipped policy" {
	run --separate-stderr policy check "$srcdir"/share/policies/*.yaml
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	equal "$(grep -c ': ok$' <<<"$output")" \
		"$(find "$srcdir/share/policies" -name '*.yaml' | wc -l)"
}

@test "check goes on after a bad file, and exits with 1" {
	echo 'limits: {memory: 64M}' >a
	echo 'limits: [64M]' >b
	echo 'prefetch: {readahead: 5K}' >c
	: >d
	run --separate-stderr policy check a b c none d
	[ "$status" -eq 1 ]
	equal "$output" "a: ok
d: ok"
	equal "$stderr" "extmem policy: b:1:9: 'limits' is a list: expected keys under it, such as 'memory: auto'
extmem policy: c:1:23: 'prefetch.readahead' is '5K': expected 0 or a power of two from 4K to 256K
extmem policy: cannot open 'none': No such file or directory"
}

@test "check reads the standard input" {
	run --separate-stderr policy check - <<<'manage: {heap: false}'
	[ "$status" -eq 0 ]
	equal "$output" "<stdin>: ok"
	run --separate-stderr policy check - <<<'manage: {heap: no}'
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	equal "$stderr" "extmem policy: <stdin>:1:16: 'manage.heap' is 'no': expected true or false"
}

@test "check needs a file, and has no --json" {
	run --separate-stderr policy check
	[ "$status" -eq 2 ]
	equal "$stderr" "extmem policy: 'check' needs a file, or - for the standard input"
	run --separate-stderr policy check --json x
	[ "$status" -eq 2 ]
	[[ $stderr == "extmem policy: 'check' has no --json"* ]]
}

# ---- the command line --------------------------------------------------------

@test "an unknown action, none, and an unknown option exit with 2" {
	run --separate-stderr policy lsit
	[ "$status" -eq 2 ]
	equal "$stderr" "extmem policy: unknown action 'lsit': expected list, show, check, apply, simulate or advise"
	run --separate-stderr policy
	[ "$status" -eq 2 ]
	[ -z "$output" ]
	[[ $stderr == "extmem policy: no action given: list, show, check, apply, simulate or advise"* ]]
	run --separate-stderr policy --frobnicate list
	[ "$status" -eq 2 ]
	[[ $stderr == *"frobnicate"* ]]
}

@test "--version, --usage and --help say what they should" {
	equal "$(policy --version)" "extmem 0.1.0"
	policy --usage | tr '\n' ' ' | grep -q 'extmem policy .*list'
	policy --help >help
	grep -q '^EXAMPLE' help
	for action in list show check apply; do
		grep -q "extmem policy .*$action" help
	done
	# Lines of --help fit a terminal.
	run ! grep -qE '^.{81}' help
}

@test "every option in --help is in the manual, and the other way round" {
	{ policy --help; policy simulate --help; policy advise --help; } | grep -oE -- '--[a-z-]+' | sort -u >help
	sed 's/\\-/-/g' "$srcdir/man/extmem-policy.1" |
		grep -oE -- '--[a-z]+[a-z-]*' | sort -u >manual
	# The usage line of --help has an example of another verb's option.
	diff <(grep -vx -- --policy help) manual
}

@test "the manuals are good manuals" {
	command -v mandoc >/dev/null || skip "no mandoc"
	run mandoc -T lint -W warning "$srcdir/man/extmem-policy.1" \
		"$srcdir/man/extmem-policy.5"
	equal "$output" ""
	[ "$status" -eq 0 ]
}

@test "the example policies in extmem-policy(5) are good" {
	sed -n '/^\.SH EXAMPLES$/,$p' "$srcdir/man/extmem-policy.5" |
		sed -n '/^\.EX$/,/^\.EE$/p' |
		sed 's/\\-/-/g' |
		awk '/^\.EX$/ { n++; next } /^\.EE$/ { next }
		     { print > ("example" n) }'
	run --separate-stderr policy check example1 example2
	equal "$stderr" ""
	[ "$status" -eq 0 ]
	policy show ./example1 | grep -qx '    max: 8G'
	policy show ./example2 | grep -qx '  memory: 25%'
}

# ---- simulate ---------------------------------------------------------------

# misses POLICY LIMIT REFERENCE...: how often the trace misses.
misses() {
	local policy=$1 limit=$2

	shift 2
	printf '%s\n' "$@" | "$EXTMEM" policy simulate --trace - --policies fifo,clock,lru \
		--limits "$limit" --json |
		python3 -c 'import json, sys
for a in json.load(sys.stdin)["algorithms"]:
    if a["name"] == sys.argv[1]:
        print(a["misses"][0])' "$policy"
}

@test "simulate: the examples of the textbooks" {
	command -v python3 >/dev/null || skip "no python3"
	local belady="1 2 3 4 1 2 5 1 2 3 4 5"
	local silberschatz="7 0 1 2 0 3 0 4 2 3 0 3 2 1 2 0 1 7 0 1"

	# shellcheck disable=SC2086
	{
		[ "$(misses fifo 3 $belady)" = 9 ]
		[ "$(misses fifo 4 $belady)" = 10 ]
		[ "$(misses optimum 3 $belady)" = 7 ]
		[ "$(misses optimum 4 $belady)" = 6 ]
		[ "$(misses fifo 3 $silberschatz)" = 15 ]
		[ "$(misses optimum 3 $silberschatz)" = 9 ]
	}
}

@test "simulate: the optimum is what trying everything finds, and nothing beats it" {
	command -v python3 >/dev/null || skip "no python3"
	python3 - "$EXTMEM" <<'END'
import functools, json, random, subprocess, sys

seed = random.randrange(1000000)
print("seed", seed)
rng = random.Random(seed)

def fewest(trace, capacity):
    @functools.lru_cache(None)
    def cost(i, held):
        if i == len(trace):
            return 0
        if trace[i] in held:
            return cost(i + 1, held)
        if len(held) < capacity:
            return 1 + cost(i + 1, held | {trace[i]})
        return 1 + min(cost(i + 1, held - {out} | {trace[i]}) for out in held)
    return cost(0, frozenset())

for _ in range(12):
    trace = [rng.randrange(6) for _ in range(24)]
    got = json.loads(subprocess.run(
        [sys.argv[1], "policy", "simulate", "--trace", "-", "--limits", "1,2,3", "--json"],
        input="".join("0x%x\n" % (p << 30) for p in trace), text=True,
        stdout=subprocess.PIPE, check=True).stdout)
    for a in got["algorithms"]:
        for limit, misses in zip(got["limits_pages"], a["misses"]):
            best = fewest(trace, limit)
            if misses < best or a["name"] == "optimum" and misses != best:
                sys.exit("%s, %d pages: %d misses, %d are the fewest: %s"
                         % (a["name"], limit, misses, best, trace))
END
}

@test "simulate: all kinds of made-up references, the same for a seed" {
	local kind

	for kind in zipf zipf:0.5 loop uniform scan+hot stride stride:7; do
		"$EXTMEM" policy simulate --synthetic $kind --pages 500 --references 5000 \
			--seed 4 >a
		"$EXTMEM" policy simulate -s $kind --pages 500 --references 5000 --seed 4 >b
		cmp a b
		[ "$(grep -c . a)" -gt 10 ]
		grep -q '^optimum ' a
		grep -q '\*' a
	done
	# A loop that does not fit: fifo and lru always miss, mru does not.
	"$EXTMEM" policy simulate -s loop --pages 100 --references 10000 --limits 50% \
		--policies fifo,mru >a
	grep -q '^fifo  *100.00 $' a
	! grep -q '^mru  *100.00' a
}

@test "simulate: with the parameters that are given" {
	"$EXTMEM" policy simulate --synthetic loop --pages 100 --references 10000 --limits 50 \
		--policies mru,mru:fresh=0,2q:in=30:out=60 --json >got
	python3 - <<-'EOF'
		import json
		a = {r["name"]: r["misses"][0] for r in json.load(open("got"))["algorithms"]}
		assert list(a) == ["mru", "mru:fresh=0", "2q:in=30:out=60", "optimum"], a
		assert a["mru:fresh=0"] < a["mru"], a
	EOF
}

@test "simulate: what is wrong with the words and with a trace" {
	local bad

	printf '1\n# fine\n\nwrite,7\n0x1f # too\n' | "$EXTMEM" policy simulate -t - >out
	grep -q '^-: 3 references to 3 pages' out
	for bad in x 1x -3 'a,' 99999999999999999999999; do
		printf '1\n%s\n' "$bad" >t
		run -1 "$EXTMEM" policy simulate --trace t
		[[ $output == "extmem policy: t:2: expected a page number"* ]]
	done
	: >t
	run -1 "$EXTMEM" policy simulate --trace t
	[[ $output == *"there is no reference in it" ]]
	run -1 "$EXTMEM" policy simulate --trace none
	[[ $output == *"cannot open 'none': No such file"* ]]
	run -2 "$EXTMEM" policy simulate --synthetic zip
	[[ $output == *"unknown trace 'zip': expected zipf[:S], loop, uniform, scan+hot or stride[:N]" ]]
	run -2 "$EXTMEM" policy simulate --policies lru,lur
	[[ $output == *"unknown algorithm 'lur'"* ]]
	while read -r bad why; do
		run -2 "$EXTMEM" policy simulate --policies "fifo,$bad"
		[[ $output == *"'--policies' has "*"$bad"*"$why" ]]
	done <<-'EOF'
		lru: expected NAME=NUMBER
		lru:active expected NAME=NUMBER
		lru:active=x expected a whole number
		lru:active=91 expected a whole number from 0 to 90
		lru:activ=50 'lru' has no such parameter, expected active
		2q:in=30:kin=3 '2q' has no such parameter, expected in or out
	EOF
	for bad in 0 101% x 5x ''; do
		run -2 "$EXTMEM" policy simulate --limits "$bad"
		[[ $output == *"'--limits' "* ]]
	done
	run -2 "$EXTMEM" policy simulate --pages 0
	[[ $output == *"'--pages' is '0': expected a number from 1 to"* ]]
	run -2 "$EXTMEM" policy simulate words
	[[ $output == *"unexpected 'words': a trace is named by --trace"* ]]
	run -2 "$EXTMEM" policy simulate --trace x --synthetic loop
	[[ $output == *"both --trace and --synthetic"* ]]
}
