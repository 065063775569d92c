#!/usr/bin/env bash
# Make .venv and install what the system lacks.  Safe to repeat, and quick when nothing is to do.
#
#   scripts/setup.sh         what a sweep needs
#   scripts/setup.sh dev     and what the tests and linters need
#
# PYTHON           the interpreter of .venv (3.11 or later; default: the first one found)
# TORCH_INDEX_URL  where torch and torchvision come from (see install_torch)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly LEVEL=${1:-run}
readonly VENV=.venv
readonly TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
# sshd, ip and tc lie there, and a normal user's PATH often lacks them
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*"; }
fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13}; do
    if have "$candidate" && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      command -v "$candidate"
      return
    fi
  done
  fail "found no Python 3.11 or later (tried: ${PYTHON:-python3 python3.11 python3.12 python3.13});" \
    "install one, or name it: make setup PYTHON=/path/to/python3.11"
}

# Debian's Python comes without ensurepip; its package is named after the minor version.
venv_package() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null && return
  "$1" -c 'import sys; print(f"python3.{sys.version_info.minor}-venv")'
}

missing_packages() {
  local pair pairs=(ssh:openssh-client ssh-keygen:openssh-client ps:procps unshare:util-linux
    sshd:openssh-server ip:iproute2 tc:iproute2)
  # the yardstick of python -m bench.payloads
  if [[ $LEVEL == dev ]]; then pairs+=(iperf3:iperf3); fi
  for pair in "${pairs[@]}"; do
    have "${pair%%:*}" || printf '%s\n' "${pair##*:}"
  done | sort -u
}

install_packages() {
  local packages=("$@") root=()
  if [[ $(id -u) -ne 0 ]]; then root=(sudo); fi
  if have apt-get && { [[ ${#root[@]} -eq 0 ]] || have sudo; }; then
    say "installing with apt: ${packages[*]}"
    if "${root[@]}" scripts/apt_install.sh "${packages[@]}"; then return; fi
    say "apt could not install them; its messages are above"
  fi
  local package needed=()
  for package in "${packages[@]}"; do
    case $package in
      openssh-server | iproute2 | iperf3) ;; # for virtual devices and benchmarks alone
      *) needed+=("$package") ;;
    esac
  done
  if [[ ${#needed[@]} -gt 0 ]]; then
    fail "this machine lacks ${packages[*]}; as root: apt-get install ${packages[*]}"
  fi
  say "going on without ${packages[*]}: virtual devices (iperf3: benchmarks) will not work, real ones will." \
    "As root: apt-get install ${packages[*]}"
}

# -qq: errors only.  Not compiled: of 14,000 modules few are ever imported, and compiling all takes a minute.
pip_install() { "$VENV/bin/python" -m pip install -qq --no-compile --disable-pip-version-check "$@"; }

pinned() { sed -nE "s/^$1==([^ #]+).*/\1/p" requirements.txt; }

# The package registry's torch for Linux brings several GB of CUDA, on a Raspberry Pi too.  So
# where this machine has no NVIDIA driver, a CPU build is looked for: first where pip is set up to
# look, then on PyTorch's own CPU index, and only then is the registry's build taken.  What torch
# itself needs comes with requirements.txt afterwards, hence --no-deps.
install_torch() {
  local torch torchvision
  torch=$(pinned torch)
  torchvision=$(pinned torchvision)
  local both=("torch==$torch" "torchvision==$torchvision")
  if "$VENV/bin/python" -m pip freeze | grep -qE "^torch==$torch(\+|\$)"; then return; fi
  if [[ -n ${TORCH_INDEX_URL:-} ]]; then
    say "torch from $TORCH_INDEX_URL"
    pip_install --no-deps --index-url "$TORCH_INDEX_URL" "${both[@]}"
  elif [[ -e /dev/nvidiactl ]]; then
    say "torch with CUDA (this machine has an NVIDIA driver)"
  elif pip_install --no-deps "torch==$torch+cpu" 2>/dev/null; then
    say "torch $torch for the CPU"
  elif say "asking PyTorch's index for a CPU build" &&
    pip_install --no-deps --timeout 10 --retries 0 --index-url "$TORCH_CPU_INDEX" "${both[@]}" 2>/dev/null; then
    say "torch $torch for the CPU, from PyTorch's index"
  else
    say "no CPU build of torch within reach: the registry's follows, which may be several GB." \
      "TORCH_INDEX_URL names another place to take it from"
  fi
}

stamp() {
  local inputs=(requirements.txt constraints.txt scripts/setup.sh)
  if [[ $1 == dev ]]; then inputs+=(requirements-dev.txt); fi
  { cat "${inputs[@]}" && "$VENV/bin/python" --version; } | sha256sum | cut -c1-64
}

# True when .venv works and was filled from the files as they are now.
up_to_date() {
  "$VENV/bin/python" -c '' 2>/dev/null || return 1
  [[ $(cat "$VENV/.setup-$1" 2>/dev/null) == "$(stamp "$1")" ]]
}

install_level() {
  local level=$1
  if up_to_date "$level"; then return; fi
  if [[ $level == run ]]; then
    install_torch
    say "installing requirements.txt"
    pip_install -r requirements.txt -c constraints.txt
  else
    say "installing requirements-dev.txt"
    pip_install -r requirements-dev.txt -c constraints.txt
  fi
  stamp "$level" >"$VENV/.setup-$level"
}

main() {
  [[ $LEVEL == run || $LEVEL == dev ]] || fail "unknown level '$LEVEL': 'dev' or nothing"
  # two makes at once would fill one .venv twice
  mkdir -p .splitbed
  exec 9>.splitbed/setup.lock
  flock 9

  local python='' packages
  if ! "$VENV/bin/python" -c 'import pip' 2>/dev/null; then python=$(find_python); fi
  mapfile -t packages < <([[ -z $python ]] || venv_package "$python"; missing_packages)
  if [[ ${#packages[@]} -gt 0 ]]; then install_packages "${packages[@]}"; fi

  if [[ -n $python ]]; then
    say "making $VENV with $python"
    rm -rf "$VENV"
    "$python" -m venv "$VENV"
  fi
  install_level run
  if [[ $LEVEL == dev ]]; then install_level dev; fi
}

main
