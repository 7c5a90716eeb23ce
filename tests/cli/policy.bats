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
		eviction: {algorithm: clock, way_out: move, granule: 64K, standby: 10%}
		prefetch: {readahead: 0}
		faults: {delivery: signal, syscall_net: off}
		tiers:
		  - {path: "/with \"quotes\": and ü", max: 8G}
		  - path: /second
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
	equal "$(json 'sorted(k + "." + l for k in v if k not in ("version", "tiers") for l in v[k])' \
		<show.json)" \
		"['eviction.algorithm', 'eviction.granule', 'eviction.standby', 'eviction.way_out', 'faults.delivery', 'faults.syscall_net', 'limits.memory', 'limits.on_full', 'manage.heap', 'manage.min_size', 'prefetch.algorithm', 'prefetch.readahead', 'watermarks.high', 'watermarks.low']"
	policy show >show.yaml
	policy show - <show.json | diff show.yaml -
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
	equal "$stderr" "extmem policy: unknown action 'lsit': expected list, show or check"
	run --separate-stderr policy
	[ "$status" -eq 2 ]
	[ -z "$output" ]
	[[ $stderr == "extmem policy: no action given: list, show or check"* ]]
	run --separate-stderr policy --frobnicate list
	[ "$status" -eq 2 ]
	[[ $stderr == *"frobnicate"* ]]
}

@test "--version, --usage and --help say what they should" {
	equal "$(policy --version)" "extmem 0.1.0"
	policy --usage | grep -q 'extmem policy .*list'
	policy --help >help
	grep -q '^EXAMPLE' help
	for action in list show check; do
		grep -q "extmem policy .*$action" help
	done
	# Lines of --help fit a terminal.
	run ! grep -qE '^.{81}' help
}

@test "every option in --help is in the manual, and the other way round" {
	policy --help | grep -oE -- '--[a-z-]+' | sort -u >help
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
	sed -n '/^\.EX$/,/^\.EE$/p' "$srcdir/man/extmem-policy.5" |
		sed 's/\\-/-/g' |
		awk '/^\.EX$/ { n++; next } /^\.EE$/ { next }
		     { print > ("example" n) }'
	run --separate-stderr policy check example1 example2
	equal "$stderr" ""
	[ "$status" -eq 0 ]
	policy show ./example1 | grep -qx '    max: 8G'
	policy show ./example2 | grep -qx '  memory: 25%'
}
