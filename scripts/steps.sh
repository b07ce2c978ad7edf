# Steps of a run, for `.ci/run` and `scripts/deep`: how long each took, and at the end which one failed, its seed and the
# command that repeats it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Of the commit: each tries what no other one did, and a run again tries the same.
SEED="$((16#$(git rev-parse HEAD | cut -c1-7)))"

step() {
  local title=$1 began=$SECONDS
  shift
  printf '\n== %s\n' "$title"
  if "$@"; then
    printf '== took %s s\n' "$((SECONDS - began))"
    return
  fi
  printf '\nFAILED: %s\ncommit: %s\nseed: %s\nagain: %s\n' "$title" "$(git rev-parse HEAD)" "$SEED" "$*"
  exit 1
}

install_package() {
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" > /dev/null
}

# A program that the machine may lack, and the Debian package that has it.
need() {
  command -v "$1" > /dev/null || install_package "$2"
}

POSTGRES_15=/usr/lib/postgresql/15/bin

# The programs alone: no server of their own is started.
need_postgres_15() {
  [ -x "$POSTGRES_15/postgres" ] && return
  install_package --no-install-recommends postgresql-common &&
    echo 'create_main_cluster = false' >> /etc/postgresql-common/createcluster.conf &&
    install_package --no-install-recommends postgresql-15
}
