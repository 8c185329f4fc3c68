# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# bash completion for shield

_shield_names() { # profiles, or active shields
	case $1 in
	profiles) shield --json profile list 2>/dev/null | sed -n 's/.*"name": *"\([^"]*\)".*/\1/p' ;;
	active) shield --json status 2>/dev/null | sed -n 's/^ \{0,8\}"name": *"\([^"]*\)".*/\1/p' ;;
	esac
}

_shield() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' i
	local globals='--dry-run --json --verbose --quiet --color= --sysroot= --help --version'

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-*) ;;
		*) command=${COMP_WORDS[i]}; break ;;
		esac
	done
	COMPREPLY=()
	if [[ -z $command ]]; then
		mapfile -t COMPREPLY < <(compgen -W "run on off attach status plan recover topology profile irq doctor $globals" -- "$cur")
		return
	fi
	case $command:$prev in
	run:-- | run:--*) ;;
	*:-p | *:--profile) mapfile -t COMPREPLY < <(compgen -f -W "$(_shield_names profiles)" -- "$cur"); return ;;
	*:--user) mapfile -t COMPREPLY < <(compgen -u -- "$cur"); return ;;
	esac
	if [[ $cur == -* ]]; then
		local own=''
		case $command in
		run) own='--profile= --user= --keep-fd= --allow-privileges --force --isolated --qmp-timeout= --qmp-failure=' ;;
		on | plan) own='--profile= --partition= --owner= --force' ;;
		off) own='--all --force' ;;
		attach) own='--pid= --force --move' ;;
		recover) own='--discard' ;;
		topology) own='--svg= --xml=' ;;
		profile) own='--vcpus= --gpu= --iothreads=' ;;
		irq) own='--watch --count --all' ;;
		esac
		mapfile -t COMPREPLY < <(compgen -W "$own $globals" -- "$cur")
		return
	fi
	case $command in
	on | plan | doctor) mapfile -t COMPREPLY < <(compgen -f -W "$(_shield_names profiles)" -- "$cur") ;;
	off | status | attach) mapfile -t COMPREPLY < <(compgen -W "$(_shield_names active)" -- "$cur") ;;
	profile) mapfile -t COMPREPLY < <(compgen -W "list show check suggest import $(_shield_names profiles)" -- "$cur") ;;
	run) mapfile -t COMPREPLY < <(compgen -c -f -- "$cur") ;;
	esac
}
complete -o default -F _shield shield
