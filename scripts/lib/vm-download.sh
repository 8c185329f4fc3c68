# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC1091,SC2154,SC2034  # scripts/vm, which sources this, shares its settings
# Debian packages of another release, downloaded and unpacked without root; nothing gets installed, and the machine's own apt
# state is neither used nor changed, only its mirror's address.

# mirror: the address from which this machine already takes its own Debian packages.
mirror() {
	local codename
	if [ -n "${SHIELD_MIRROR:-}" ]; then
		printf '%s\n' "$SHIELD_MIRROR"
		return
	fi
	codename=$(. /etc/os-release && [ "$ID" = debian ] && printf '%s' "${VERSION_CODENAME:-}") ||
		die "the kernels are Debian's, and this is not Debian: set SHIELD_MIRROR to the address of a Debian mirror"
	# shellcheck disable=SC2016  # the format is apt's
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Identifier: Packages' 2>/dev/null |
		awk -v suite="$codename" '$2 == suite { print $1; found = 1; exit } END { exit !found }' ||
		die "no package source for $codename in this machine's apt configuration: set SHIELD_MIRROR to a Debian mirror"
}

# packages_unpack SUITE DIR PACKAGE [REGEX]: downloads a package of SUITE, or with REGEX every package with a matching name that it
# leads to, and unpacks all into DIR/files. PACKAGE may be several names.
packages_unpack() (
	suite=$1 dir=$2 packages=$3 regex=${4:-}
	address=$(mirror) || exit 1
	mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" "$dir/packages" "$dir/files"
	# An empty status: what is installed here must not influence which version is chosen.
	: >"$dir/apt/status"
	printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nArchitectures: amd64\nSigned-By: %s\n' \
		"$address" "$suite" /usr/share/keyrings/debian-archive-keyring.gpg >"$dir/apt/debian.sources"
	options=(-o "Dir::Etc::SourceList=$dir/apt/debian.sources" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$dir/apt/lists"
		-o "Dir::State::status=$dir/apt/status" -o "Dir::Cache=$dir/apt/cache" -o Acquire::Languages=none
		-o APT::Architecture=amd64 -o APT::Sandbox::User= -o Acquire::Retries=3)
	# A hook of the machine's own apt may fail here, so what follows decides, not this status.
	apt-get -qq "${options[@]}" update >&2
	if [ -n "$regex" ]; then
		packages=$(apt-cache "${options[@]}" depends --important --recurse "$packages" 2>/dev/null | grep -E "$regex") || exit 1
	fi
	cd "$dir/packages" || exit 1
	# shellcheck disable=SC2086  # names are words
	apt-get -qq "${options[@]}" download $packages >&2 || exit 1
	for package in *.deb; do
		dpkg-deb -x "$package" "$dir/files" || exit 1
	done
)

# packages_get WHAT SUITE DIR PACKAGE [REGEX]: the same, with retries, and saying what it does.
packages_get() {
	local what=$1 attempt
	shift
	mirror >/dev/null || return 1
	for attempt in 1 2 3 4; do
		say "downloading $what ($1)"
		packages_unpack "$@" && return
		[ "$attempt" -lt 4 ] || return 1
		say "the download failed; once more in $((attempt * 5)) s"
		sleep $((attempt * 5))
		rm -rf "${2:?}"/{apt,packages,files}
	done
}

# source_get PACKAGE SUITE DIR: its sources as they are, into DIR/apt.
source_get() (
	address=$(mirror) || exit 1
	mkdir -p "$3/apt/lists/partial" "$3/apt/cache/archives/partial"
	cd "$3/apt" || exit 1
	: >status
	printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
		"$address" "$2" /usr/share/keyrings/debian-archive-keyring.gpg >debian.sources
	options=(-o "Dir::Etc::SourceList=$PWD/debian.sources" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$PWD/lists"
		-o "Dir::State::status=$PWD/status" -o "Dir::Cache=$PWD/cache" -o APT::Sandbox::User= -o Acquire::Retries=3)
	say "downloading the sources of $1 ($2)"
	apt-get -qq "${options[@]}" update >&2
	apt-get -qq "${options[@]}" source --download-only "$1" >&2
)

# locked DIR COMMAND…: runs COMMAND while holding the lock of DIR, which is made if need be.
locked() {
	local lock status=0
	mkdir -p "$1"
	exec {lock}>"$1/.lock"
	if ! flock -n "$lock"; then
		say "waiting for another run that is filling $1"
		flock "$lock"
	fi
	"${@:2}" || status=$?
	exec {lock}>&-
	return $status
}
