# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154,SC2034  # scripts/vm, which sources this, shares its settings
# The root file system of a test VM: a cached base archive (busybox, its applets, PID 1) and, behind it in the same
# initramfs, an overlay with what this one run brings along. The kernel unpacks archives that follow one another.

# pack DIR: a cpio archive of DIR on stdout, everything owned by root.
pack() {
	(cd "$1" && find . -mindepth 1 -print0 | LC_ALL=C sort -z | cpio --null --quiet -o -H newc -R 0:0 --reproducible)
}

# tree DIR: the directories and links that paths of a Debian system go through. The overlay needs the same links: a directory
# there would replace the base's link, and what lies behind it would be lost.
tree() {
	local name
	mkdir -p "$1"/usr/{bin,sbin,lib,lib64,share,local/bin} "$1"/etc/shield-vm
	for name in bin sbin lib lib64; do
		ln -s "usr/$name" "$1/$name"
	done
	chmod 755 "$1" "$1"/usr "$1"/usr/* "$1"/etc
}

# base_ready: prints the path of the base archive, after making it if need be.
base_ready() {
	local busybox base work applet
	busybox=$(command -v busybox)
	base=$cache/base-$(cat "$busybox" "$repo/tests/vm/guest/init" "${BASH_SOURCE[0]}" | sha256sum | cut -c 1-16).cpio
	if [ ! -e "$base" ]; then
		mkdir -p "$cache"
		work=$(mktemp -d "$cache/.base.XXXXXX")
		tree "$work/root"
		mkdir -p "$work/root"/{dev,proc,sys,run,root,tmp,var,mnt,home}
		chmod 1777 "$work/root/tmp"
		ln -s ../run "$work/root/var/run"
		ln -s ../tmp "$work/root/var/tmp"
		add_program "$work/root" "$busybox" /usr/bin/busybox
		while read -r applet; do
			ln -s /usr/bin/busybox "$work/root/$applet" 2>/dev/null || true
		done < <("$busybox" --list-full)
		ln -sf /usr/bin/busybox "$work/root/usr/bin/sh"
		install -m 755 "$repo/tests/vm/guest/init" "$work/root/init"
		printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$work/root/etc/passwd"
		printf 'root:x:0:\nkvm:x:106:\nnogroup:x:65534:\n' >"$work/root/etc/group"
		printf '127.0.0.1 localhost shield-vm\n::1 localhost\n' >"$work/root/etc/hosts"
		echo shield-vm >"$work/root/etc/hostname"
		pack "$work/root" >"$work/base.cpio"
		mv "$work/base.cpio" "$base"
		find "$cache" -maxdepth 1 -name 'base-*.cpio' -mtime +7 -delete
		rm -rf "$work"
	fi
	printf '%s\n' "$base"
}

# add_file ROOT SOURCE DESTINATION: a file, or a directory with all that is in it, modes kept, links to files followed.
add_file() {
	local root=$1 source=$2 destination=$3
	[ -e "$source" ] || die "--file $source: it does not exist"
	mkdir -p "$root$(dirname "$destination")"
	if [ -d "$source" ]; then
		mkdir -p "$root$destination"
		cp -a "$source/." "$root$destination/"
	else
		cp -pL "$source" "$root$destination"
	fi || die "--file $source: cannot be copied"
}

# add_program ROOT SOURCE DESTINATION: a program, and the shared libraries that it is linked with, at their own paths; so are the
# tools that it starts (shield/cmd/tool.c), where it looks for them.
add_program() {
	local root=$1 source=$2 destination=$3 libraries library tools file
	tools=$({ readelf -Wp .shield.tools "$source" 2>/dev/null || true; } | sed -n 's/^ *\[ *0\] *//p')
	for file in ${tools:+"$tools"/*}; do
		[ ! -f "$file" ] || add_program "$root" "$file" "$file"
	done
	[ -f "$source" ] || die "--program $source: there is no such file"
	mkdir -p "$root$(dirname "$destination")"
	cp -pL "$source" "$root$destination" || die "--program $source: cannot be copied"
	chmod 755 "$root$destination"
	# ldd fails for a static program and for a script: they need nothing.
	libraries=$(ldd "$source" 2>/dev/null) || return 0
	case $libraries in
	*'not found'*) die "--program $source: $(grep 'not found' <<<"$libraries" | xargs)" ;;
	esac
	while read -r library; do
		add_library "$root" "$library"
	done < <(grep -oE '/[^ ]+' <<<"$libraries")
}

# add_library ROOT SOURCE [DESTINATION]
add_library() {
	local target=$1${3:-$2}
	[ ! -e "$target" ] || return 0
	mkdir -p "$(dirname "$target")"
	cp -pL "$2" "$target" || die "$2: cannot be copied"
}

# add_modules ROOT: the kernel modules of this run, decompressed, numbered in the order of loading.
add_modules() {
	local root=$1 files file name n=100
	shift
	files=$(kernel_modules "$kernel" "$@") || exit "$exit_setup"
	mkdir -p "$root/etc/shield-vm/modules"
	while read -r file; do
		[ -n "$file" ] || continue
		name=${file##*/}
		n=$((n + 1))
		case $name in
		*.xz) xz -dc "$file" ;;
		*.zst) zstd -qdc "$file" ;;
		*.gz) gzip -dc "$file" ;;
		*) cat "$file" ;;
		esac >"$root/etc/shield-vm/modules/$n-${name%%.*}.ko"
	done <<<"$files"
}

# quoted WORD...: a line that a POSIX shell reads as these words.
quoted() {
	local word quote="'\\''"
	for word in "$@"; do
		printf " '%s'" "${word//\'/$quote}"
	done
	echo
}

# image_build FILE: writes this run's initramfs.
image_build() {
	local root=$work/root top=$work/root pair path base
	base=$(base_ready) || exit "$exit_setup"
	# A root file system gets its files from a directory of the initramfs.
	[ -z "$root_image" ] || root+=/overlay
	mkdir -p "$root"
	tree "$root"
	printf 'cd /\nexec%s' "$(quoted "${command[@]}")" >"$root/etc/shield-vm/command"
	: >"$root/etc/shield-vm/fetch"
	for pair in "${fetches[@]}"; do
		printf '%s\n' "${pair%%:*}" >>"$root/etc/shield-vm/fetch"
	done
	[ -z "$no_cgroup" ] || : >"$root/etc/shield-vm/no-cgroup"
	[ -z "$nested_qemu" ] || add_qemu "$root"
	[ -z "$kvm" ] || add_guest "$root"
	if [ -n "$root_image" ]; then
		root_unit "$root"
		add_modules "$top" virtio_pci virtio_blk ext4 "${modules[@]}"
	elif [ ${#modules[@]} -gt 0 ]; then
		add_modules "$root" "${modules[@]}"
	fi
	for pair in "${programs[@]}"; do
		path=$(destination "$pair" program) || exit "$exit_setup"
		add_program "$root" "${pair%%:*}" "$path"
	done
	for pair in "${files[@]}"; do
		path=$(destination "$pair" file) || exit "$exit_setup"
		add_file "$root" "${pair%%:*}" "$path"
	done
	[ ! -d "$root/tmp" ] || chmod 1777 "$root/tmp"
	[ "$root" = "$top" ] || find "$root" -maxdepth 1 -type l -delete # its own links stand
	{ cat "$base" && pack "$top"; } >"$1" || die "cannot write the initramfs (is $work full?)"
	rm -rf "$top"
}

# destination PAIR KIND: where SRC[:DST] goes.
destination() {
	local source=${1%%:*} path
	case $1 in
	*:*/) path=${1#*:}${source##*/} ;;
	*:*) path=${1#*:} ;;
	*)
		path=$(realpath -s -- "$source")
		case $2:$path in
		file:* | program:/usr/* | program:/bin/* | program:/sbin/*) ;;
		*) path=/usr/local/bin/${path##*/} ;;
		esac
		;;
	esac
	path=$(realpath -sm -- "/$path")
	case $path in
	/dev/* | /proc/* | /run/* | /sys/*) die "--$2 $1: the guest mounts a file system over ${path%"${path#/*/}"}" ;;
	esac
	printf '%s\n' "$path"
}
