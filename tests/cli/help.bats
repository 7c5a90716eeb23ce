# SPDX-License-Identifier: MIT
# Help and manuals: everywhere, and in agreement with each other.

load helpers

setup() {
	common_setup
	MAN=$SOURCE/man
	verbs="run stat policy dump"
}

teardown() {
	common_teardown
}

# Options that --help names, long and short, one a line.
help_options() {
	"$EXTMEM" "$@" --help 3>&- |
		grep -E '^ +(-.,|--)' | sed 's/  [^ -].*//' |
		grep -oE -- '(^|[ ,])--?[a-z?V][a-z-]*' | tr -d ' ,' | sort -u
}

# Options that the OPTIONS section of a manual begins a paragraph with.
manual_options() {
	awk '/^\.S[HS]/ { on = /OPTIONS/ } on' "$1" |
		grep -A1 '^\.TP' | grep -E '^\.(B|BR|BI|IP) ' |
		sed 's/\\-/-/g; s/\\fR.*//' |
		grep -oE -- '(^|[ ",])--?[a-z?V][a-z-]*' | tr -d ' ",' | sort -u
}

@test "extmem alone, --help and help say the same" {
	extmem
	expect_status 0
	help=$output
	expect_output "Usage: extmem VERB"
	expect_output "extmem run --limit 512M"
	for word in --help help; do
		extmem $word
		expect_status 0
		[ "$output" = "$help" ]
	done
	for verb in $verbs; do
		[[ $help =~ $'\n  '$verb\ + ]]
	done
}

@test "--version is the same everywhere" {
	extmem --version
	expect_status 0
	[[ $output =~ ^extmem\ [0-9] ]]
	version=$output
	for verb in $verbs; do
		extmem "$verb" --version
		expect_status 0
		[ "$output" = "$version" ]
	done
}

@test "an unknown verb is refused with the nearest one" {
	extmem stt
	expect_status 2
	expect_line "unknown verb 'stt', did you mean 'stat'?"
	extmem pol
	expect_line "did you mean 'policy'?"
	extmem frobnicate
	expect_status 2
	expect_line "unknown verb 'frobnicate'"
	extmem --frob
	expect_status 2
	expect_line "unknown option '--frob'"
	extmem help stt
	expect_status 2
	expect_line "did you mean 'stat'?"
}

@test "every verb has --help with examples, in its own name" {
	for verb in $verbs; do
		extmem "$verb" --help
		expect_status 0
		expect_output "Usage: extmem $verb"
		expect_output "EXAMPLES"
		[ -z "$stderr" ]
	done
}

@test "extmem help VERB opens the manual, or says --help" {
	for verb in $verbs; do
		MANPAGER=cat PAGER=cat extmem help "$verb"
		expect_status 0
		[[ ${output^^} == *EXAMPLES* ]]
	done
	mkdir "$scratch/bin"
	printf '#!/bin/sh\nexit 16\n' >"$scratch/bin/man"
	chmod 755 "$scratch/bin/man"
	PATH=$scratch/bin:$PATH extmem help stat
	expect_status 0
	expect_output "Usage: extmem stat"
}

@test "help finds its options at all" {
	[ "$(help_options stat | tr '\n' ' ')" != "" ]
	help_options stat | grep -qx -- --interval
	manual_options "$MAN/extmem-stat.1" | grep -qx -- --interval
}

@test "each option of --help is in the manual, and the other way round" {
	for verb in $verbs; do
		diff -u --label "extmem $verb --help" --label "extmem-$verb(1)" \
			<(help_options "$verb") <(manual_options "$MAN/extmem-$verb.1")
	done
	diff -u --label "extmem --help" --label "extmem(1)" \
		<("$EXTMEM" --help | grep -oE -- ' --[a-z]+' | grep -v limit | tr -d ' ' | sort -u) \
		<(manual_options "$MAN/extmem.1" | grep -- '^--')
}

@test "every manual has its sections" {
	for page in extmem extmem-run extmem-stat extmem-policy extmem-dump; do
		for section in NAME SYNOPSIS DESCRIPTION OPTIONS "EXIT STATUS" EXAMPLES "SEE ALSO"; do
			grep -qE "^\.SH \"?$section\"?\$" "$MAN/$page.1" || {
				echo "$page.1 has no $section" >&2
				return 1
			}
		done
	done
}

@test "the manuals are well formed" {
	need_tool mandoc
	for page in "$MAN"/*.[1-8]; do
		mandoc -Tlint -Wwarning "$page"
	done
}

@test "every manual that another one names is there" {
	for page in "$MAN"/*.[1-8]; do
		grep -hoE '^\.BR (extmem|libextmem)[a-z\\-]* \([1-8]\)' "$page" |
			sed 's/^\.BR //; s/\\//g; s/ (/./; s/)//' |
			while read -r name; do
				[ -e "$MAN/$name" ] || {
					echo "$page names $name" >&2
					exit 1
				}
			done
	done
}

@test "the completion knows every verb and every long option" {
	# shellcheck source=/dev/null
	source "$SOURCE/share/completions/extmem.bash"
	complete_words() {
		COMP_WORDS=("$EXTMEM" "$@")
		COMP_CWORD=$#
		_extmem
		printf '%s\n' "${COMPREPLY[@]}"
	}
	for verb in $verbs help; do
		complete_words "" | grep -qx "$verb"
	done
	for verb in $verbs; do
		diff -u <(help_options "$verb" | grep -- '^--') \
			<(complete_words "$verb" -- | sed 's/[= ]*$//' | sort -u)
	done
	complete_words policy "" | grep -qx check
	complete_words dump "" | grep -qx regions
	complete_words run --policy lr | grep -qx lru
	complete_words run --set evic | grep -qx eviction.algorithm=
	touch "$scratch/mine.so"
	complete_words run --set evic | grep -qx eviction.plugin=
	complete_words run --set eviction.plugin = "$scratch/mi" | grep -qx "$scratch/mine.so"
	complete_words run --set = tiers | grep -qx 'tiers\[0\].path='
	! complete_words run --policy "" | grep -qx NAME
	fake good
	complete_words stat "" | grep -qx "$fake_pid"
	complete_words dump pages "" | grep -qx "$fake_pid"
	complete_words run --limit = 1G -- tru | grep -qx true
	[ -z "$(complete_words run true --)" ]
}
