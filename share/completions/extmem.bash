# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# bash completion for extmem. What can be completed is asked of extmem itself,
# so that there is one list of options, of policies and of keys. The words are
# those of the command being completed: build/extmem completes from its tree.

_extmem_ask() {
	"${COMP_WORDS[0]/#\~/$HOME}" "$@" 2>/dev/null
}

_extmem_options() {
	_extmem_ask "$1" --help |
		sed -nE 's/^ +(-., )?(--[a-z-]+)(=[^ ]+)?( .*)?$/\2\3/p' | sed 's/=.*/=/'
}

_extmem_policies() {
	_extmem_ask policy list | awk 'NR > 1 { print $1 }'
}

_extmem_pids() {
	_extmem_ask stat | awk 'NR > 1 { print $1 }'
}

# The keys of --set, from the sections of the policy as YAML.
_extmem_keys() {
	_extmem_ask policy show | awk '
		/^[a-z_]+:/ {
			section = $1; sub(":.*", "", section); item = -1
			next
		}
		/^ *- / { item++; sub("- ", "") }
		/^ +[a-z_]+:/ {
			key = $1; sub(":.*", "", key)
			print section (item >= 0 ? "[" item "]" : "") "." key "="
		}
		END { print "eviction.plugin=\nprefetch.plugin=" }'
}

# _extmem_reply WORD CANDIDATE...: those that begin with it; "--name=" and
# "key=" are to be followed by a value, not by a space.
_extmem_reply() {
	local word=$1

	shift
	mapfile -t COMPREPLY < <(compgen -W "$*" -- "$word")
	if [[ ${#COMPREPLY[@]} = 1 && ${COMPREPLY[0]} = *= ]]; then
		compopt -o nospace 2>/dev/null
	fi
}

_extmem_files() {
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

# _extmem_value OPTION WORD: true when the option takes a value, completed.
_extmem_value() {
	case $1 in
	--policy | -p)
		_extmem_files -f "$2"
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY \
			< <(compgen -W "$(_extmem_policies)" -- "$2")
		;;
	--limit | -l) _extmem_reply "$2" auto 25% 50% 256M 512M 1G 2G 4G ;;
	--swap | -s) _extmem_files -d "$2" ;;
	--stats | --trace | --record) _extmem_files -f "$2" ;;
	--set) _extmem_reply "$2" "$(_extmem_keys)" ;;
	*.plugin) _extmem_files -f "$2" ;;
	--interval | -i | --count | -c | --region | -r) ;;
	*) return 1 ;;
	esac
}

# Where the command of `extmem run` begins, or nothing: after -- or the first
# word that is neither an option nor the value of one.
_extmem_run_command() {
	local i

	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--) echo $((i + 1)) && return ;;
		# With = among COMP_WORDBREAKS, "--limit=1G" is three words.
		--policy | -p | --limit | -l | --swap | -s | --stats | --trace | --record | --set)
			[[ ${COMP_WORDS[i + 1]-} = "=" ]] && ((i++))
			((i++))
			[[ ${COMP_WORDS[i + 1]-} = "=" ]] && ((i += 2))
			;;
		-*) ;;
		*) echo "$i" && return ;;
		esac
	done
}

_extmem_run() {
	local word=$1 begin

	begin=$(_extmem_run_command)
	if [[ -n $begin && $begin -lt $COMP_CWORD ]]; then
		if declare -F _command_offset >/dev/null; then
			_command_offset "$begin"
		else
			_extmem_files -f "$word"
		fi
	elif [[ -z $begin && $word = -* ]]; then
		_extmem_reply "$word" "$(_extmem_options run)"
	else
		mapfile -t COMPREPLY < <(compgen -c -- "$word")
	fi
}

_extmem_verb() {
	local verb=$1 word=$2

	if [[ $word = -* ]]; then
		_extmem_reply "$word" "$(_extmem_options "$verb")"
	elif [[ $verb = stat ]]; then
		_extmem_reply "$word" "$(_extmem_pids)"
	elif [[ $verb = dump && $COMP_CWORD = 2 ]]; then
		_extmem_reply "$word" regions pages trace
	elif [[ $verb = dump && ${COMP_WORDS[2]} = trace ]]; then
		_extmem_files -f "$word"
	elif [[ $verb = dump ]]; then
		_extmem_reply "$word" "$(_extmem_pids)"
	elif [[ $verb = policy && $COMP_CWORD = 2 ]]; then
		_extmem_reply "$word" list show check apply simulate advise
	elif [[ $verb = policy && ${COMP_WORDS[2]} != list ]]; then
		_extmem_value --policy "$word"
	elif [[ $verb = help ]]; then
		_extmem_reply "$word" run stat policy dump
	fi
}

_extmem() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	if [[ $COMP_CWORD = 1 ]]; then
		_extmem_reply "$word" run stat policy dump help --help --version
		return
	fi
	# "--limit=1G" comes as "--limit" "=" "1G".
	if [[ $word = "=" ]]; then
		word=
	elif [[ $before = "=" ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if [[ ${COMP_WORDS[1]} = run ]]; then
		[[ -z $(_extmem_run_command) ]] && _extmem_value "$before" "$word" && return
		_extmem_run "$word"
	else
		_extmem_value "$before" "$word" || _extmem_verb "${COMP_WORDS[1]}" "$word"
	fi
}

complete -F _extmem extmem
