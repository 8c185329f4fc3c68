# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154,SC2034  # scripts/vm, which sources this, shares its settings
# Root file systems with a real PID 1, for scripts/vm --root: Debian in an ext4 image below the cache, made once by
# mmdebstrap and mke2fs (nothing is mounted; root is not needed) and never written: a run keeps its changes in a file of its own.
#
#   systemd    systemd 252 and dbus
#   libvirt    the same, and libvirtd, QEMU and irqbalance
#   forky      the systemd of a later Debian (262 in 2026), and the libraries of the same names that shield needs; a program from
#              Debian 12 runs there without its own (--file, not --program)
#
# The name of an image holds the checksum of what it is made from; an image that no longer fits is made anew.

root_names=(systemd libvirt forky)

root_packages() {
	local packages=systemd,systemd-sysv,dbus,libpam-systemd,procps,kmod,jq
	case $1 in
	systemd) echo "$packages" ;;
	libvirt) echo "$packages,libvirt-daemon-system,libvirt-clients,libvirt-daemon-driver-qemu,qemu-system-x86,irqbalance" ;;
	forky) echo "$packages,libhwloc15,libjansson4,libsystemd0" ;;
	*) return 1 ;;
	esac
}

root_suite() {
	case $1 in
	forky) echo forky ;;
	*) echo bookworm ;;
	esac
}

# What no test waits for, and the login on the port that carries the kernel log.
root_masked=(serial-getty@ttyS0.service getty@tty1.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
	e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-timesyncd.service systemd-networkd-wait-online.service
	libvirt-guests.service systemd-machine-id-commit.service)

# root_ready NAME: sets root_image.
root_ready() {
	local sum
	sum=$(cat "${BASH_SOURCE[0]}" <(root_packages "$1") | sha256sum | cut -c 1-12)
	root_image=$cache/roots/$1-$sum.img
	[ -e "$root_image" ] || locked "$cache/roots" root_fill "$1"
}

root_fill() {
	local tool
	[ ! -e "$root_image" ] || return 0
	for tool in mmdebstrap mke2fs fakeroot; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null || {
			"$repo/scripts/install-deps" --vm || die "the tools for a root file system are missing"
			break
		}
	done
	say "making the root file system \"$1\" (some minutes, once)"
	root_make "$1" || die "the root file system \"$1\" could not be made"
	find "$cache/roots" -maxdepth 1 -name "$1-*.img" ! -samefile "$root_image" -mtime +7 -delete
}

root_make() (
	address=$(mirror) || exit 1
	work=$(mktemp -d "$cache/roots/.new.XXXXXX") || exit 1
	trap 'rm -rf "$work"' EXIT
	options=(--variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' --include="$(root_packages "$1")" --aptopt='Acquire::Retries "3"' --aptopt='Acquire::Languages "none"'
		--aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*'
		--dpkgopt='path-exclude=/usr/share/doc/*')
	for attempt in 1 2 3; do
		mmdebstrap -q "${options[@]}" "$(root_suite "$1")" "$work/root.tar" \
			"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $address $(root_suite "$1") main" >"$work/log" 2>&1 && break
		[ "$attempt" -lt 3 ] || {
			tail -n 20 "$work/log" >&2
			exit 1
		}
		sleep $((attempt * 5))
	done
	cat >"$work/pack" <<-'END'
		set -e
		mkdir "$1/root"
		tar -C "$1/root" -xpf "$1/root.tar"
		rm "$1/root.tar"
		cd "$1/root"
		rm -rf var/lib/apt/lists/* var/cache/apt/*
		# Known, so that systemd does not take this for a first boot.
		echo 5f1e1d5f1e1d5f1e1d5f1e1d5f1e1d00 >etc/machine-id
		echo shield-vm >etc/hostname
		printf '127.0.0.1 localhost shield-vm\n::1 localhost\n' >etc/hosts
		echo '/dev/vda / ext4 defaults 0 0' >etc/fstab
		shift
		for unit; do
			ln -sf /dev/null "etc/systemd/system/$unit"
		done
		if [ -d etc/libvirt ]; then
			printf 'security_driver = "none"\nremember_owner = 0\nuser = "root"\ngroup = "root"\n' >>etc/libvirt/qemu.conf
			rm -f etc/libvirt/qemu/networks/autostart/*
		fi
	END
	runner=(fakeroot)
	[ "$(id -u)" -ne 0 ] || runner=()
	# In one go, for fakeroot knows the owners only as long as it lives.
	# shellcheck disable=SC2016  # the inner shell's
	"${runner[@]}" sh -c '
		dir=$1 && shift
		sh "$dir/pack" "$dir" "$@" || exit 1
		size=$(($(du -sm "$dir/root" | cut -f 1) * 3 / 2 + 512))
		PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -d "$dir/root" "$dir/image" "${size}M"
	' sh "$work" "${root_masked[@]}" >&2 || exit 1
	mv "$work/image" "$root_image"
)

# root_unit DIR: the unit that runs the command, in the files that a run brings along.
root_unit() {
	mkdir -p "$1/etc/systemd/system/multi-user.target.wants"
	cat >"$1/etc/systemd/system/shield-vm.service" <<-'END'
		[Unit]
		Description=the command of this test
		After=basic.target dbus.socket systemd-logind.service libvirtd.service
		[Service]
		Type=exec
		ExecStart=/bin/sh /etc/shield-vm/init command
		StandardInput=null
		StandardOutput=journal
		KillMode=process
		LimitCORE=0
	END
	ln -s ../shield-vm.service "$1/etc/systemd/system/multi-user.target.wants/shield-vm.service"
	install -m 755 "$repo/tests/vm/guest/init" "$1/etc/shield-vm/init"
}
