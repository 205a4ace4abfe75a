#!/usr/bin/env bash
# Shards on a real Slurm: see README.md beside this file.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { printf '%s  %s\n' "$(date +%T)" "$*"; }
fail() { say "FAILED: $*"; exit 1; }

if [ -n "${SLURM_TEST_INSTALL:-}" ]; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge
fi
for program in slurmctld slurmd sbatch squeue scontrol munged; do
    if ! command -v "$program" >/dev/null && ! [ -x "/usr/sbin/$program" ]; then
        say "SKIPPED: $program is not installed (Debian: slurm-wlm, munge; SLURM_TEST_INSTALL=1 installs them)"
        exit 0
    fi
done
if [ "$(id -u)" -ne 0 ]; then
    say "SKIPPED: slurmd needs root"
    exit 0
fi
PATH="$PATH:/usr/sbin"

memscope=$(realpath "${MEMSCOPE:-target/debug/memscope}")
read -r -a arguments <<<"${SLURM_TEST_ARGUMENTS:-table1 --set report.resamples=200}"
shards=8

cluster=$(mktemp -d /tmp/memscope-slurm.XXXXXX)
chmod 755 "$cluster"
mkdir -p "$cluster"/{munge,state,spool,log}
host=$(hostname -s)
pids=()
take_down() {
    local code=$?
    trap - EXIT
    scancel --user="$(id -un)" 2>/dev/null || true
    sleep 1
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do kill "${pids[i]}" 2>/dev/null || true; done
    sleep 2
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    if [ $code -ne 0 ]; then tail -n 5 "$cluster"/log/*.log "$cluster"/results/shards/*/slurm-* 2>/dev/null || true; fi
    if [ -n "${SLURM_TEST_KEEP:-}" ]; then say "kept: $cluster"; else rm -rf "$cluster"; fi
    exit $code
}
trap take_down EXIT
trap 'exit 143' INT TERM HUP

# --- The cluster: eight cores are pretended, so that all shards run at once.
dd if=/dev/urandom of="$cluster/munge.key" bs=1024 count=1 status=none
chmod 400 "$cluster/munge.key"
chmod 755 "$cluster/munge"
munged --force --foreground --num-threads=2 --socket="$cluster/munge/socket" --key-file="$cluster/munge.key" \
    --pid-file="$cluster/munge/pid" --log-file="$cluster/log/munged.log" --seed-file="$cluster/munge/seed" \
    >"$cluster/log/munged.out" 2>&1 &
pids+=($!)
# A cluster that runs on the machine already is left alone: these ports are free ones.
read -r control node < <(python3 - <<'PYTHON'
import socket
sockets = [socket.socket() for _ in range(2)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in sockets])
PYTHON
)
cat >"$cluster/slurm.conf" <<CONF
ClusterName=memscope
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$cluster/munge/socket
CryptoType=crypto/munge
SlurmctldPort=$control
SlurmdPort=$node
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/slurmd.pid
SlurmctldLogFile=$cluster/log/slurmctld.log
SlurmdLogFile=$cluster/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=15
MinJobAge=300
MaxArraySize=5
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 RealMemory=2000 State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$cluster/slurm.conf"
export USER="${USER:-$(id -un)}"
slurmctld -D -i >"$cluster/log/slurmctld.out" 2>&1 &
pids+=($!)
slurmd -D >"$cluster/log/slurmd.out" 2>&1 &
pids+=($!)
for _ in $(seq 60); do
    if sinfo --noheader --format=%T 2>/dev/null | grep -q idle; then break; fi
    sleep 1
done
sinfo --noheader --format=%T | grep -q idle || fail "the node does not become idle"
say "cluster: $(sinfo --version), $(sinfo --noheader --format='%D node, %c cores, %T')"

# --- The array, in two parts, as MaxArraySize is 5.
results="$cluster/results"
export MEMSCOPE_CACHE="$cluster/cache" RAYON_NUM_THREADS=1 MEMSCOPE_PROGRESS=10
submit=("$memscope" submit "${arguments[@]}" --results "$results" --engine slurm --shards $shards --cpus 1 --time 30 --warning 60)
"${submit[@]}" --print >"$cluster/printed.txt"
say "submit --print: $(grep -c '^sbatch' "$cluster/printed.txt") sbatch lines"
"${submit[@]}" 2>&1 | sed 's/^/          /'
plan=("$results"/shards/*)
plan=${plan[0]}
say "squeue:"
squeue --array --format='          %.12i %.24j %.10T %r'

# --- One shard is taken away, one comes to its limit.
stored() { cat "$1"/answers/*.jsonl 2>/dev/null | wc -l; }
for _ in $(seq 240); do
    [ "$(stored "$plan/002-of-008")" -gt 0 ] && [ "$(stored "$plan/003-of-008")" -gt 0 ] && break
    sleep 0.2
done
# The job and task that Slurm calls a shard by.
task_of() {
    squeue --noheader --array --format='%F %K' | python3 -c '
import json, sys
offsets = {job["id"]: job["offset"] for job in json.load(open(sys.argv[2]))["jobs"]}
for line in sys.stdin:
    job, task = line.split()
    if offsets.get(job) is not None and task.isdigit() and offsets[job] + int(task) == int(sys.argv[1]):
        print(f"{job}_{task}")
        break
' "$1" "$plan/JOBS.json"
}
taken=$(task_of 2)
limited=$(task_of 3)
[ -n "$taken" ] || fail "shard 2 is not at work any more: the experiment is too small for this machine"
say "scontrol requeue $taken (shard 2, $(stored "$plan/002-of-008") records)"
scontrol requeue "$taken"
if [ -n "$limited" ]; then
    # The limit becomes the shortest there is; Slurm then sends USR1 and later ends the task.
    say "scontrol update JobId=$limited TimeLimit=1 (shard 3, $(stored "$plan/003-of-008") records)"
    scontrol update JobId="$limited" TimeLimit=1
fi
"${submit[@]}" 2>&1 | sed 's/^/          submitted again while it is queued: /'
"$memscope" status "$results" | sed 's/^/          /'

# --- A requeued task waits for two minutes in Slurm (its BeginTime); the limit of shard 3 is lengthened once it has waited.
for i in $(seq 560); do
    left=$(squeue --noheader --array --format='%F_%K %T %r' || true)
    [ -z "$left" ] && break
    if [ -n "$limited" ] && grep -q '"attempts": 1' "$plan/003-of-008/STATE.json" && grep -q '"stage": "stopped"' "$plan/003-of-008/STATE.json"; then
        say "shard 3 stopped before its limit and is queued again"
        scontrol update JobId="$limited" TimeLimit=30 2>/dev/null && limited=
    fi
    squeue --noheader --array --states=pending --format='%F_%K %r' | while read -r name reason; do
        case $reason in BeginTime) scontrol update JobId="$name" StartTime=now 2>/dev/null || true ;; esac
    done
    [ $((i % 30)) -eq 0 ] && say "queue: $(echo "$left" | tr '\n' ';')"
    sleep 1
done
[ -z "$(squeue --noheader)" ] || fail "jobs are left after ten minutes: $(squeue --noheader)"
say "all jobs have ended"
"$memscope" status "$results" | sed 's/^/          /'
for shard in 002 003; do
    say "shard $shard: $(tr -d ' \n' <"$plan/$shard-of-008/STATE.json" | grep -o '"attempts":[0-9]*')"
    sed 's/^/          /' "$plan/$shard-of-008/log.txt"
done
grep -q '"attempts": 2' "$plan/002-of-008/STATE.json" || fail "shard 2 was not begun again"
say "the job that merged:"
sed 's/^/          /' "$plan"/slurm-merge-*.txt | grep -v '^ *$' | tail -n 8
complete=("$results"/*/COMPLETE)
[ -e "${complete[0]}" ] || fail "no finished experiment below $results"

# --- The same in one process.
say "a single run"
"$memscope" reproduce "${arguments[@]}" --results "$cluster/single" >/dev/null 2>&1
name=$(basename "$(dirname "${complete[0]}")")
diff -r "$cluster/single/$name/tables" "$results/$name/tables" || fail "the tables differ"
say "tables of eight shards and of a single run are equal, byte for byte: $(cd "$results/$name/tables" && ls | tr '\n' ' ')"

# --- Nothing is left to do.
before=$(wc -c <"$plan/JOBS.json")
"${submit[@]}" 2>&1 | sed 's/^/          submitted again: /'
[ "$(wc -c <"$plan/JOBS.json")" -eq "$before" ] || fail "a second submit submitted something"
[ -z "$(squeue --noheader)" ] || fail "a second submit submitted something"
say "PASSED"
