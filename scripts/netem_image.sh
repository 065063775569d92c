#!/usr/bin/env bash
# Make the Debian guest that `make test-netem` boots: a kernel that has sch_netem, and an initramfs with two hosts in it.
#
#   scripts/netem_image.sh [FOLDER]     default: .splitbed/netem; says nothing and does nothing where it is made already
#
# Needs root, debootstrap, cpio and a Debian mirror (NETEM_MIRROR; default: debootstrap's own).  PYTHON is the
# interpreter whose pip fetches msgspec (default: python).  What boots it is bench/netem/guest.py.
#
# FOLDER then holds vmlinuz, initramfs, id_ed25519 (it logs in to both hosts), known_hosts and kernel (its version).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

readonly FOLDER=${1:-.splitbed/netem}
readonly SUITE=bookworm
readonly SUITE_PYTHON=3.11
readonly PACKAGES=iproute2,iputils-ping,kmod,openssh-server,procps,python3
readonly KERNEL=linux-image-cloud-amd64
# What the hosts' links, the management bridge and QEMU's network card need.
readonly MODULES="virtio_pci virtio_net bridge veth tun sch_htb sch_netem sch_tbf cls_u32"

say() { printf 'netem image: %s\n' "$*"; }
fail() {
  printf 'netem image: %s\n' "$*" >&2
  exit 1
}

stamp() { { cat scripts/netem_image.sh scripts/netem_init.sh && grep '^msgspec==' constraints.txt; } | sha256sum | cut -c1-64; }

check_programs() {
  local program missing=()
  for program in debootstrap cpio dpkg-deb ssh-keygen; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  [[ ${#missing[@]} -eq 0 ]] || fail "this machine lacks ${missing[*]}; as root: apt-get install debootstrap cpio openssh-client"
  [[ $(id -u) -eq 0 ]] || fail "debootstrap needs root; remedy: sudo make test-netem"
}

# The kernel's package is unpacked, not installed: nothing is to make a second initramfs.  /lib is a link there, which
# dpkg-deb would replace by a folder.
add_kernel() {
  local root=$1 package deb
  chroot "$root" apt-get update -qq
  package=$(chroot "$root" apt-cache depends "$KERNEL" | awk '/Depends: linux-image-/ {print $2; exit}')
  [[ -n $package ]] || fail "the mirror's $SUITE has no package that $KERNEL depends on; another mirror: NETEM_MIRROR=…"
  chroot "$root" sh -c "cd /tmp && apt-get download -qq $package"
  deb=$(echo "$root/tmp/$package"_*.deb)
  dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$root"
  rm "$deb"
  printf '%s\n' "${package#linux-image-}" >"$root/../kernel"
}

# Only the modules that are asked for, and what they need: the initramfs lies in the guest's memory.
keep_modules() {
  local root=$1 version=$2 kept
  chroot "$root" depmod "$version"
  kept=$(for module in $MODULES; do chroot "$root" modprobe -S "$version" --show-depends "$module"; done |
    awk '$1 == "insmod" {print $2}' | sort -u)
  find "$root/lib/modules/$version/kernel" -name '*.ko*' | while IFS= read -r file; do
    grep -qxF "${file#"$root"}" <<<"$kept" || rm "$file"
  done
  chroot "$root" depmod "$version"
}

add_hosts() {
  local root=$1 folder=$2 host
  ssh-keygen -q -t ed25519 -N '' -C 'netem guest' -f "$folder/id_ed25519"
  mkdir -p -m 0700 "$root/root/.ssh"
  cp "$folder/id_ed25519.pub" "$root/root/.ssh/authorized_keys"
  rm -f "$root"/etc/ssh/ssh_host_*
  for host in a b; do
    ssh-keygen -q -t ed25519 -N '' -C "$host" -f "$root/etc/ssh/host_key_$host"
    printf '%s %s\n' "$host" "$(cut -d ' ' -f 1,2 "$root/etc/ssh/host_key_$host.pub")" >>"$folder/known_hosts"
  done
  printf '%s\n' "$MODULES" >"$root/etc/netem_modules"
  install -m 0755 scripts/netem_init.sh "$root/init"
}

add_msgspec() {
  local root=$1
  "${PYTHON:-python}" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --no-compile --only-binary=:all: \
    --implementation cp --python-version "$SUITE_PYTHON" --platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 \
    --target "$root/usr/lib/python3/dist-packages" --upgrade "$(grep '^msgspec==' constraints.txt)"
}

main() {
  local version
  if [[ $(cat "$FOLDER/stamp" 2>/dev/null) == "$(stamp)" ]]; then return; fi
  check_programs
  mkdir -p "$(dirname "$FOLDER")"
  work=$(mktemp -d "$(dirname "$FOLDER")/netem-new.XXXXXX")
  trap 'rm -rf "$work"' EXIT # a global: the trap outlives this function
  chmod 0700 "$work"
  say "making a Debian guest in $FOLDER (once; about a minute, 400 MB on the way)"
  debootstrap --variant=minbase --include="$PACKAGES" "$SUITE" "$work/root" ${NETEM_MIRROR:+"$NETEM_MIRROR"} \
    >"$work/debootstrap.log" 2>&1 || { tail -n 20 "$work/debootstrap.log" >&2; fail "debootstrap failed; its last words are above"; }
  add_kernel "$work/root"
  version=$(cat "$work/kernel")
  keep_modules "$work/root" "$version"
  add_hosts "$work/root" "$work"
  add_msgspec "$work/root"
  mv "$work/root/boot/vmlinuz-$version" "$work/vmlinuz"
  rm -rf "$work/root"/boot/* "$work/root"/var/cache/apt/* "$work/root"/var/lib/apt/lists/* \
    "$work/root"/usr/share/{doc,locale,man,info}/*
  # Not compressed: an emulated processor takes longer to unpack it than to read it.
  (cd "$work/root" && find . -xdev -print0 | cpio --null --create --format=newc --quiet) >"$work/initramfs"
  rm -rf "$work/root" "$work/debootstrap.log"
  stamp >"$work/stamp"
  rm -rf "$FOLDER"
  mv "$work" "$FOLDER"
  trap - EXIT
}

main
