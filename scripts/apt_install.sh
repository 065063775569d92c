#!/usr/bin/env bash
# Install Debian packages without starting any service.  Runs as root; setup.sh calls it.
#
# Debian starts a newly installed daemon at once.  Virtual devices need sshd's program, nobody asked
# for a system-wide SSH server: policy-rc.d forbids service starts while apt runs, and a newly
# installed ssh service is left disabled.
set -euo pipefail

readonly POLICY=/usr/sbin/policy-rc.d
readonly SAVED=$POLICY.before-splitbed

restore_policy() {
  if [[ -e $SAVED ]]; then
    mv -f "$SAVED" "$POLICY"
  elif grep -qs 'made by splitbed' "$POLICY"; then
    rm -f "$POLICY"
  fi
}

forbid_service_starts() {
  if [[ -e $POLICY ]]; then mv "$POLICY" "$SAVED"; fi
  printf '#!/bin/sh\n# made by splitbed, removed when its apt call ends\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
}

[[ $# -gt 0 ]] || {
  printf 'usage: apt_install.sh PACKAGE…\n' >&2
  exit 2
}
restore_policy # an earlier call may have been killed
trap restore_policy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
forbid_service_starts

had_ssh_service=no
if [[ -e /etc/init.d/ssh ]]; then had_ssh_service=yes; fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# what dpkg says about each package is noise; its errors go to stderr
apt-get install -qq --no-install-recommends "$@" >/dev/null

if [[ $had_ssh_service == no && -e /etc/init.d/ssh ]]; then
  update-rc.d ssh disable
  printf 'setup: openssh-server is installed, its system service is left off (systemctl enable --now ssh)\n'
fi
