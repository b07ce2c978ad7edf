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

# Lanes: steps that go on beside those that follow. What they print is shown when they are waited for.
LANE_PIDS=() LANE_OUTPUTS=()
trap 'leave_lanes; rm -f "${LANE_OUTPUTS[@]}"' EXIT

leave_lanes() {
  local pid
  # Each its own process group: with it ends whatever its steps have started.
  for pid in "${LANE_PIDS[@]}"; do kill -- "-$pid" 2> /dev/null || true; done
  LANE_PIDS=()
}

beside() {
  local output
  output="$(mktemp)"
  LANE_OUTPUTS+=("$output")
  set -m
  "$@" > "$output" 2>&1 &
  LANE_PIDS+=("$!")
  set +m
}

join_lanes() {
  local began=$SECONDS status lane
  for lane in "${!LANE_PIDS[@]}"; do
    status=0
    wait "${LANE_PIDS[$lane]}" || status=$?
    unset "LANE_PIDS[$lane]"
    cat "${LANE_OUTPUTS[$lane]}"
    [ "$status" -eq 0 ] || exit "$status"
    rm "${LANE_OUTPUTS[$lane]}"
    unset "LANE_OUTPUTS[$lane]"
  done
  printf '== waited %s s for what went on beside\n' "$((SECONDS - began))"
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
