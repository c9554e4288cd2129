#!/bin/sh
# Runs a command here while holding a lock of a workspace; the log shows it like any other task. Where Python 3.11
# is at hand, `towpath lock` does the same and more: the terminal, a queue that explains itself, nothing left behind.
#
#   with_lock.sh WORKSPACE PATH [--] COMMAND [ARGUMENT…]
#
# Needs run_attempt.sh beside it, Linux, sh, curl and GNU tools. TOWPATH_URL says where the API is; TOWPATH_TOKEN, if it
# asks operators for one; API_RUNNER_CALLBACK_TOKEN, if it is set there. Ends as the command ends. With
# TOWPATH_RUNNER_ID, a name that no other holder uses at the same time, it sends heartbeats: killed outright, or its
# host gone, the lock comes back by itself. Without, an operator releases it then.
set -u
api=${TOWPATH_URL:-http://127.0.0.1:8000}
if [ $# -lt 3 ] || { [ "$3" = -- ] && [ $# -lt 4 ]; }; then
  echo "usage: with_lock.sh WORKSPACE PATH [--] COMMAND [ARGUMENT…]" >&2
  exit 2
fi
workspace=$1 path=$2
shift 2
[ "$1" != -- ] || shift
if [ -z "${TOWPATH_RUNNER_ID:-}" ]; then
  TOWPATH_RUNNER_ID="$(hostname | tr -c 'A-Za-z0-9\n' '-')-$$" TOWPATH_LEASE_SECONDS=0
fi
umask 077
headers=$(mktemp)
printf 'Content-Type: application/json\n%s\n' "${TOWPATH_TOKEN:+Authorization: Bearer $TOWPATH_TOKEN}" >"$headers"

# A UUIDv7 of our own: creating with it may be repeated until it is answered.
milliseconds=$(printf '%012x' "$(date +%s%3N)") random=$(cat /proc/sys/kernel/random/uuid)
id=${milliseconds%????}-${milliseconds#????????}-7${random#????????-????-4}

exec 3<&0 </dev/null # standard input is the command's alone

ask() { # METHOD PATH [BODY]: the answer, then a line with its status, 000 if none came for two minutes
  printf '%s' "${3:-}" | curl -sS -X "$1" "$api$2" -w '\n%{http_code}\n' --retry 60 --retry-delay 2 \
    --retry-all-errors -H "@$headers" ${3:+--data-binary @-}
}
text() { # VALUE: as a JSON string, at most 1000 bytes of it; what is not UTF-8 is left out
  printf '%s' "$1" | head -c 1000 | iconv -c -f UTF-8 -t UTF-8 | od -An -v -tu1 | LC_ALL=C awk '{ for (i = 1; i <= NF; i++)
    out = out ($i < 32 || $i == 34 || $i == 92 ? sprintf("\\u%04x", $i) : sprintf("%c", $i + 0)) }
    END { printf "\"%s\"", out }'
}
field() { printf '%s' "$answer" | sed -n "s/.*\"$1\": *\"\{0,1\}\([A-Za-z0-9.-]*\).*/\1/p"; }
code() { printf '%s' "$answer" | tail -n 1; }
give_up() { echo "$1: $answer" >&2; rm -f "$headers"; exit "$2"; }
trap 'answer=$(ask POST "/tasks/$id/cancel"); give_up canceled 130' INT TERM

command= words=0
for word in "$@"; do # for the trail: the command itself is started as it stands
  [ $((words += 1)) -le 100 ] || break
  command=$command${command:+, }$(text "$word")
done
answer=$(ask POST '/tasks?dispatch=true' "{\"id\": \"$id\", \"pool\": \"by-hand\", \"command\": [$command],
  \"workspace\": $(text "$workspace"), \"lock_paths\": [$(text "$path")]}")
case $(code) in 200 | 201) ;; *) give_up "not created" 1 ;; esac
until [ "$(field state)" = held ]; do # then 30 seconds are left to report `running`
  [ "$(field status)" = dispatched ] || give_up "it ended before it held its lock" 6
  sleep 1
  answer=$(ask GET "/tasks/$id")
done
rm -f "$headers"

export TOWPATH_RUNNER_ID ${TOWPATH_LEASE_SECONDS+TOWPATH_LEASE_SECONDS}
TOWPATH_TASK_ID=$id TOWPATH_ATTEMPT=1 TOWPATH_POOL=by-hand TOWPATH_WORKSPACE=$workspace TOWPATH_LOCK_TOKEN=$(field token) \
  TOWPATH_STATUS_URL=$api/runner/tasks/$id/status TOWPATH_STATUS_TOKEN=${API_RUNNER_CALLBACK_TOKEN:-} \
  exec "$(dirname "$0")/run_attempt.sh" "$@" <&3 3<&-
