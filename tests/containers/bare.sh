#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# bare.sh [SYSTEM]...: `./bootstrap demo' on a Debian that has nothing but a
# copy of the checkout: debootstrap's minimal system, in namespaces of its own
# with /dev/fuse. A SYSTEM is bookworm or trixie, or one of these and "+user":
# there a plain user is at work, who may use sudo. Without arguments:
# bookworm trixie trixie+user. Needs root, debootstrap and the network; TAP.
#
#	COMMAND='./bootstrap check' bare.sh trixie	something else to run
#	KEEP=1		leave the system's directory, to look around in it
#
# Minimal systems are kept in $XDG_CACHE_HOME (or /var/tmp)/targetfs-bare, and
# made again after 30 days. Where the packages come from, and by which proxies
# and certificates, is what this host's apt is configured for.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cache=${XDG_CACHE_HOME:-/var/tmp}/targetfs-bare
command=${COMMAND:-./bootstrap demo}
limit=${LIMIT:-3600}	# seconds, for one system
host_ca=/etc/ssl/certs/ca-certificates.crt
[ $# -gt 0 ] || set -- bookworm trixie trixie+user

skip_all() {
	echo "1..0 # SKIP $1"
	exit 77
}

[ "$(id -u)" -eq 0 ] || skip_all "debootstrap needs root"
[ -c /dev/fuse ] || skip_all "no /dev/fuse"
for tool in debootstrap unshare tar; do
	command -v "$tool" >/dev/null || skip_all "no $tool"
done

# Where this host gets Debian from; any of its suites is at the same place.
# shellcheck disable=SC2016 # apt's variables
mirror=$(apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
	sed -n 's/^Debian|//p' | sed 1q)
[ -n "$mirror" ] || skip_all "apt knows no Debian mirror here (apt-get update?)"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/bare.XXXXXX")
cleanup() {
	if [ -n "${KEEP:-}" ]; then
		echo "# kept: $work"
	else
		rm -rf --one-file-system "$work"
	fi
}
trap cleanup EXIT

# What of this host's apt is about reaching the mirror.
apt_access() {
	apt-config dump | grep -E '^Acquire::(https?|Check-Valid-Until|Check-Date|ForceIPv)' || true
	[ ! -r $host_ca ] || echo "Acquire::https::CAInfo \"/run/host-ca.crt\";"
}

# base SUITE ROOT: the minimal system in ROOT
base() {
	local suite=$1 root=$2 tar=$cache/$1.tar
	mkdir -p "$cache" "$root"
	if [ -z "$(find "$tar" -mtime -30 2>/dev/null)" ]; then
		debootstrap --variant=minbase "$suite" "$work/base" "$mirror" \
			>"$work/debootstrap.log" || {
			tail -n 20 "$work/debootstrap.log"
			return 1
		}
		rm -rf "$work"/base/var/cache/apt/archives/*.deb "$work"/base/var/lib/apt/lists/*
		tar -C "$work/base" -cf "$tar.new" . || return
		mv "$tar.new" "$tar"
		rm -rf "$work/base"
	fi
	tar -C "$root" -xpf "$tar" || return
	apt_access >"$root/etc/apt/apt.conf.d/50host"
}

# The files of the checkout as a tar: what git knows or would add, else all.
checkout() {
	if git -C "$top" rev-parse >/dev/null 2>&1; then
		git -C "$top" ls-files -z --cached --others --exclude-standard |
			(cd "$top" && while IFS= read -r -d '' f; do
				[ ! -e "$f" ] && [ ! -L "$f" ] || printf '%s\0' "$f"
			done) | tar -C "$top" --no-recursion --null -cf - -T -
	else
		tar -C "$top" --exclude=./build --exclude=./.git -cf - .
	fi
}

# The devices that a container has, /dev/fuse, and loop devices for the tests.
make_dev() {
	local dev=$1 name major minor
	mount -t tmpfs -o mode=755 dev "$dev"
	while read -r name major minor; do
		mknod -m 666 "$dev/$name" c "$major" "$minor"
	done <<-'TXT'
	null 1 3
	zero 1 5
	full 1 7
	random 1 8
	urandom 1 9
	tty 5 0
	fuse 10 229
	loop-control 10 237
	TXT
	for ((minor = 0; minor < 64; minor++)); do
		mknod -m 660 "$dev/loop$minor" b 7 "$minor"
	done
	mkdir -m 1777 "$dev/shm"
	mkdir "$dev/pts"
	mount -t devpts -o newinstance,ptmxmode=666 devpts "$dev/pts"
	ln -s pts/ptmx "$dev/ptmx"
	ln -s /proc/self/fd "$dev/fd"
	ln -s fd/0 "$dev/stdin"
	ln -s fd/1 "$dev/stdout"
	ln -s fd/2 "$dev/stderr"
}

# inside ROOT COMMAND...: in the system, with an environment as bare as it is.
# We are in namespaces of our own, with which all of this ends.
inside() {
	local root=$1 v
	local -a env=(HOME=/root TERM=dumb
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
	shift
	# In a chroot there are no user namespaces, so this is a root of our own.
	mount --bind "$root" "$root"
	make_dev "$root/dev"
	mount -t proc proc "$root/proc"
	mount --rbind /sys "$root/sys"
	cat /etc/resolv.conf >"$root/etc/resolv.conf"
	cat /etc/hosts >"$root/etc/hosts"
	for v in http_proxy https_proxy no_proxy; do
		[ -z "${!v:-}" ] || env+=("$v=${!v}")
	done
	if [ -r $host_ca ]; then
		cat $host_ca >"$root/run/host-ca.crt"
		env+=(SSL_CERT_FILE=/run/host-ca.crt CARGO_HTTP_CAINFO=/run/host-ca.crt)
	fi
	cd "$root"
	pivot_root . .
	umount -l .
	cd /
	exec env -i "${env[@]}" "$@"
}

# A user named "user", who may do everything by sudo without a password; the
# checkout is theirs. Runs in the system.
# shellcheck disable=SC2016
user_script='
	apt-get -q update && apt-get -q install -y --no-install-recommends sudo || exit
	useradd -m -s /bin/bash user
	echo "user ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/user
	chown -R user: /src
	env -u HOME setpriv --reuid=user --regid=user --init-groups --reset-env \
		env SSL_CERT_FILE="${SSL_CERT_FILE:-}" CARGO_HTTP_CAINFO="${CARGO_HTTP_CAINFO:-}" \
		bash -c "cd /src/targetfs && $1"'

# in_bare SYSTEM: 0 when the command succeeds there.
in_bare() {
	local root=$work/$1 command=$command
	local -a run=(bash -c "cd /src/targetfs && $command")
	base "${1%+user}" "$root" || return
	mkdir -p "$root/src/targetfs"
	checkout | tar -C "$root/src/targetfs" --no-same-owner -xf - || return
	[ "$1" = "${1%+user}" ] || run=(bash -c "$user_script" - "$command")
	export -f inside make_dev
	export host_ca
	timeout "$limit" unshare --mount --pid --ipc --uts --fork --kill-child \
		--propagation private bash -euc 'inside "$@"' - "$root" "${run[@]}"
}

echo "1..$#"
number=0 failures=0
for system in "$@"; do
	number=$((number + 1)) t0=$SECONDS r=0
	log=$work/$system.log
	in_bare "$system" >"$log" 2>&1 </dev/null || r=$?
	sed 's/^/# /' "$log"
	if [ $r -eq 0 ]; then
		echo "ok $number - ${command%%$'\n'*} on bare $system, $((SECONDS - t0)) s"
	else
		echo "not ok $number - ${command%%$'\n'*} on bare $system (status $r, $((SECONDS - t0)) s)"
		failures=$((failures + 1))
	fi
	[ -n "${KEEP:-}" ] || rm -rf --one-file-system "${work:?}/$system"
done
[ $failures -eq 0 ]
