# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154,SC2034  # scripts/vm, which sources this, shares its settings
# Kernels for scripts/vm: Debian's cloud kernels, downloaded once and unpacked below the cache; nothing gets installed. With
# -generic behind the name it is Debian's kernel for real machines, which has all the drivers.
#
# $cache/kernels/6.12 is a link to $cache/kernels/RELEASE, which holds vmlinuz, config and root/lib/modules/RELEASE. A new
# directory is filled beside it and then renamed into place, under a lock, so that many runs may start at the same time. What
# an earlier run has unpacked stays in use until --refresh is asked for, also when the mirror is out of reach.

kernel_names=(6.1 6.12 7)

kernel_suite() {
	case ${1%-generic} in
	6.1) echo bookworm ;;
	6.12) echo bookworm-backports ;;
	7) echo trixie-backports ;;
	*) return 1 ;;
	esac
}

# kernel_unpack NAME: downloads kernel NAME and puts it in place. The caller holds the lock.
kernel_unpack() (
	name=$1
	suite=$(kernel_suite "$name")
	work=$(mktemp -d "$cache/kernels/.new.XXXXXX") || exit 1
	trap 'rm -rf "$work"' EXIT
	flavour=-cloud
	[ "$name" = "${name%-generic}" ] || flavour=
	packages_get "kernel $name" "$suite" "$work" "linux-image$flavour-amd64" \
		"^linux-(image|modules|binary|base)-[0-9].*[0-9]$flavour-amd64\$" || exit 1

	new=$work/new
	mkdir -p "$new/root/lib"
	# Older packages have lib/modules and boot/, newer ones keep everything in usr/lib/modules.
	for path in "$work"/files/lib/modules/* "$work"/files/usr/lib/modules/*; do
		[ -d "$path/kernel" ] || continue
		release=${path##*/}
		mkdir -p "$new/root/lib/modules"
		mv "$path" "$new/root/lib/modules/$release"
	done
	[ -n "${release:-}" ] || exit 1
	for path in vmlinuz config; do
		cp "$work/files/boot/$path-$release" "$new/$path" 2>/dev/null ||
			cp "$new/root/lib/modules/$release/$path" "$new/$path" || exit 1
	done
	PATH=$PATH:/usr/sbin:/sbin depmod -b "$new/root" "$release" || exit 1
	printf '%s\n' "$release" >"$new/release"

	rm -rf "${cache:?}/kernels/.old"
	[ ! -e "$cache/kernels/$release" ] || mv "$cache/kernels/$release" "$cache/kernels/.old"
	mv "$new" "$cache/kernels/$release"
	ln -s "$release" "$work/link"
	mv -T "$work/link" "$cache/kernels/$name"
	rm -rf "${cache:?}/kernels/.old"
	say "kernel $name is $release"
)

# kernel_ready NAME [refresh]: makes kernel NAME available at $cache/kernels/NAME.
kernel_ready() {
	if [ -n "${2:-}" ] || [ ! -e "$cache/kernels/$1/release" ]; then
		locked "$cache/kernels" kernel_fill "$@"
	fi
}

kernel_fill() {
	[ -n "${2:-}" ] || [ ! -e "$cache/kernels/$1/release" ] || return 0
	kernel_unpack "$1" && return
	[ -e "$cache/kernels/$1/release" ] || die "kernel $1 could not be had (it would go to $cache)"
	say "kernel $1 could not be renewed; the one that is here stays in use"
}

# kernel_modules NAME MODULE...: the files to load, in order, a line each, without those that are built in.
kernel_modules() {
	local name=$1 release module
	release=$(<"$cache/kernels/$name/release")
	shift
	for module in "$@"; do
		PATH=$PATH:/usr/sbin:/sbin modprobe -d "$cache/kernels/$name/root" -S "$release" --show-depends "$module" ||
			die "kernel $release has no module $module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}
