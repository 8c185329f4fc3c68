# shellcheck shell=bash disable=SC2154,SC2034  # scripts/vm, which sources this, shares its settings
# Kernels for scripts/vm: Debian's cloud kernels, downloaded once and unpacked below the cache; nothing gets installed.
#
# $cache/kernels/6.12 is a link to $cache/kernels/RELEASE, which holds vmlinuz, config and root/lib/modules/RELEASE. A new
# directory is filled beside it and then renamed into place, under a lock, so that many runs may start at the same time. What
# an earlier run has unpacked stays in use until --refresh is asked for, also when the mirror is out of reach.

kernel_names=(6.1 6.12 7)

kernel_suite() {
	case $1 in
	6.1) echo bookworm ;;
	6.12) echo bookworm-backports ;;
	7) echo trixie-backports ;;
	*) return 1 ;;
	esac
}

# kernel_mirror: the address from which this machine already takes its own Debian packages.
kernel_mirror() {
	local codename
	if [ -n "${SHIELD_MIRROR:-}" ]; then
		printf '%s\n' "$SHIELD_MIRROR"
		return
	fi
	# shellcheck disable=SC1091  # the machine's own description of itself
	codename=$(. /etc/os-release && [ "$ID" = debian ] && printf '%s' "${VERSION_CODENAME:-}") ||
		die "the kernels are Debian's, and this is not Debian: set SHIELD_MIRROR to the address of a Debian mirror"
	# shellcheck disable=SC2016  # the format is apt's
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Identifier: Packages' 2>/dev/null |
		awk -v suite="$codename" '$2 == suite { print $1; found = 1; exit } END { exit !found }' ||
		die "no package source for $codename in this machine's apt configuration: set SHIELD_MIRROR to a Debian mirror"
}

# kernel_download SUITE DIR: puts the packages that the metapackage leads to into DIR.
kernel_download() (
	suite=$1 dir=$2
	mirror=$(kernel_mirror) || exit 1
	mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" "$dir/packages"
	printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nArchitectures: amd64\nSigned-By: %s\n' \
		"$mirror" "$suite" /usr/share/keyrings/debian-archive-keyring.gpg >"$dir/apt/debian.sources"
	apt_options=(-o "Dir::Etc::SourceList=$dir/apt/debian.sources" -o Dir::Etc::SourceParts=/dev/null
		-o "Dir::State::Lists=$dir/apt/lists" -o "Dir::Cache=$dir/apt/cache" -o APT::Sandbox::User=
		-o Acquire::Languages=none -o APT::Architecture=amd64 -o Acquire::Retries=3)
	# A hook of the machine's own apt may fail here, so the answer below decides, not this status.
	apt-get -qq "${apt_options[@]}" update >&2
	mapfile -t packages < <(apt-cache "${apt_options[@]}" depends --important --recurse linux-image-cloud-amd64 2>/dev/null |
		grep -E '^linux-(image|modules|binary|base)-[0-9].*-cloud-amd64$')
	[ ${#packages[@]} -gt 0 ] || exit 1
	cd "$dir/packages" && apt-get -qq "${apt_options[@]}" download "${packages[@]}" >&2
)

# kernel_unpack NAME: downloads kernel NAME and puts it in place. The caller holds the lock.
kernel_unpack() (
	name=$1
	suite=$(kernel_suite "$name")
	work=$(mktemp -d "$cache/kernels/.new.XXXXXX") || exit 1
	trap 'rm -rf "$work"' EXIT
	for attempt in 1 2 3 4; do
		say "downloading kernel $name ($suite)"
		kernel_download "$suite" "$work" && break
		[ "$attempt" -lt 4 ] || exit 1
		say "the download failed; once more in $((attempt * 5)) s"
		sleep $((attempt * 5))
		rm -rf "${work:?}"/*
	done

	new=$work/new
	mkdir -p "$new/root/lib"
	for package in "$work"/packages/*.deb; do
		dpkg-deb -x "$package" "$work/files" || exit 1
	done
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
	local name=$1 refresh=${2:-} lock
	[ -n "$refresh" ] || [ ! -e "$cache/kernels/$name/release" ] || return 0
	mkdir -p "$cache/kernels"
	exec {lock}>"$cache/kernels/.lock"
	if ! flock -n "$lock"; then
		say "waiting for another run that is preparing a kernel"
		flock "$lock"
	fi
	if [ -n "$refresh" ] || [ ! -e "$cache/kernels/$name/release" ]; then
		kernel_unpack "$name" || {
			[ -e "$cache/kernels/$name/release" ] || die "kernel $name could not be had (downloads go to $cache)"
			say "kernel $name could not be renewed; the one that is here stays in use"
		}
	fi
	exec {lock}>&-
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
