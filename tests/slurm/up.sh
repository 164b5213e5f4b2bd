#!/bin/bash
# Starts a Slurm cluster of one node for a test, as the calling user and wholly below one folder.
# Usage: up.sh FOLDER; then SLURM_CONF=FOLDER/etc/slurm.conf speaks to it. Stop it with down.sh FOLDER.
# Needs slurmctld, slurmd and munged (Debian: slurm-wlm munge). The folder's path must be short: it holds a socket.
set -euo pipefail

mkdir -p "$1"
root=$(cd "$1" && pwd)
host=$(hostname -s)
user=$(id -un)
cores=$(nproc)
mkdir -p "$root"/{etc,log,munge,run,spool,state}
# munged insists on folders that others cannot write to.
chmod 755 "$root" "$root/munge"

# Two ports that nobody listens on, so that several clusters can run side by side.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}
controller_port=$(free_port)
node_port=$(free_port)

(umask 077 && head -c 1024 /dev/urandom >"$root/munge/key")
# As root munged warns about who may write to the folders above, and starts only when forced.
force=()
if [ "$(id -u)" -eq 0 ]; then force=(--force); fi
munged "${force[@]}" --num-threads=2 \
    --socket="$root/munge/socket" --key-file="$root/munge/key" --pid-file="$root/munge/pid" \
    --log-file="$root/munge/log" --seed-file="$root/munge/seed"

cat >"$root/etc/cgroup.conf" <<END
CgroupPlugin=cgroup/v1
CgroupAutomount=no
END
cat >"$root/etc/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller_port
SlurmdPort=$node_port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$root/munge/socket
CredType=cred/munge
StateSaveLocation=$root/state
SlurmdSpoolDir=$root/spool
SlurmctldPidFile=$root/run/slurmctld.pid
SlurmdPidFile=$root/run/slurmd.pid
SlurmctldLogFile=$root/log/slurmctld.log
SlurmdLogFile=$root/log/slurmd.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
KillWait=5
MinJobAge=300
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
END

export SLURM_CONF=$root/etc/slurm.conf
slurmctld -c -f "$SLURM_CONF"
slurmd -c -f "$SLURM_CONF"
for _ in $(seq 120); do
    if [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; then exit 0; fi
    sleep 0.25
done
echo "the node does not become idle:"
tail -n 8 "$root"/log/*.log "$root/munge/log"
exit 1
