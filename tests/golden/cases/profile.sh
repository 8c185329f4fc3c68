# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154  # sourced by ../run, once for each machine
# What a good engineer would choose on each machine, and the profile that is shipped for it.

suggest_case() { # CASE STATUS OPTION...
	local case=$1 status=$2
	shift 2
	golden "$name/$case" "$status" "$binary" profile suggest --sysroot "$machine" "$@"
}

case $name in
one-cpu | recorded/2arm-2c | recorded/x86_64-dell_e4310) suggest_case suggest 4 ;;
*) suggest_case suggest 0 ;;
esac
case $name in
i9-9900k)
	suggest_case suggest.gpu 0 --gpu 0000:01:00.0 --iothreads 2
	suggest_case suggest.short 0 --gpu 01:00.0
	;;
i7-13700k)
	suggest_case suggest.8 0 --vcpus 8 --iothreads 2
	suggest_case suggest.16 0 --vcpus 16
	;;
i7-8550u) suggest_case suggest.8 2 --vcpus 8 ;;
ryzen-5950x) suggest_case suggest.24 0 --vcpus 24 ;;
ryzen-7950x3d) suggest_case suggest.16 0 --vcpus 16 ;;
threadripper-2990wx)
	suggest_case suggest.gpu0 0 --gpu 0000:0a:00.0
	suggest_case suggest.gpu2 0 --gpu 0000:41:00.0 --vcpus 8
	;;
epyc-7543-dual)
	suggest_case suggest.gpu0 0 --gpu 0000:01:00.0 --vcpus 16 --iothreads 2
	suggest_case suggest.8 0 --vcpus 8
	suggest_case suggest.100 0 --vcpus 100
	;;
arm-two-sorts)
	suggest_case suggest.4 0 --vcpus 4
	suggest_case suggest.10 0 --vcpus 10
	;;
amd-dense) suggest_case suggest.8 0 --vcpus 8 ;;
epyc-nps4-dual)
	suggest_case suggest.gpu5 0 --vcpus 16 --gpu 0000:c1:00.0
	suggest_case suggest.gpu1 0 --vcpus 48 --gpu 0000:41:00.0
	suggest_case suggest.24 0 --vcpus 24
	suggest_case suggest.48 0 --vcpus 48
	suggest_case suggest.60 0 --vcpus 60
	;;
snc-dual)
	suggest_case suggest.unknown 0 --vcpus 4 --gpu 0000:04:00.0
	suggest_case suggest.gpu2 0 --vcpus 4 --gpu 0000:82:00.0
	suggest_case suggest.8 0 --vcpus 8
	;;
round-robin)
	suggest_case suggest.16 0 --vcpus 16
	suggest_case suggest.17 0 --vcpus 17
	suggest_case suggest.gpu2 0 --vcpus 12 --gpu 0000:82:00.0
	;;
esac

# What is suggested must be a good profile of this machine.
suggestion_is_good() { # MACHINE
	local file=$work/suggested.json
	"$binary" profile suggest --json --sysroot "$1" | jq .profile >"$file"
	"$binary" profile check -q --sysroot "$1" "$file" >/dev/null
}
case $name in
one-cpu | recorded/2arm-2c | recorded/x86_64-dell_e4310) ;;
*) check "$name/suggestion-is-good" suggestion_is_good "$machine" ;;
esac

# The shipped profile: what it comes to here, and that it is found without a name.
case $name in # real machines that were recorded
recorded/x86_64-epyc_7451) shipped=epyc-7451-dual ;;
recorded/32em64t-2n8c+*) shipped=xeon-e5-2680-dual ;;
*) shipped=$name ;;
esac
if [ -e "$repo/profiles/$shipped.json" ]; then
	mkdir -p "$machine/usr/lib/shield/profiles.d"
	cp "$repo"/profiles/*.json "$machine/usr/lib/shield/profiles.d/"
	golden "$name/profile" 0 "$binary" profile show --sysroot "$machine"
	echo "$shipped.json" >>"$work/shipped"
	if [ "$name" = rk3588 ]; then
		golden "$name/list" 0 "$binary" profile list --sysroot "$machine"
		golden "$name/check" 0 "$binary" profile check --sysroot "$machine"
	fi
	rm -r "${machine:?}/usr"
fi
