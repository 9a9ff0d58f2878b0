"""Folds on two nodes, one of which is lost in the midst: its job moves, and the bits are the same.

Two slurmd of this machine are the nodes, under a controller of their own beside the lab's; the node
that is lost loses its slurmd and all that runs under it at once, as by a cut of power.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.queue import wait_until
from tests.cluster.test_slurm_plugin import SLURM
from tests.integration.group_studies import copy_study, group_arguments, make_study
from tests.integration.running import command, environment, tree

pytestmark = pytest.mark.timeout(1200)

CONFIGURATION = """\
ClusterName=pair
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=6917
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool-%n
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/%n.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SchedulerParameters=sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
SlurmdTimeout=10
NodeName=first NodeHostname={host} NodeAddr=127.0.0.1 Port=6918 CPUs=1 RealMemory=6000
NodeName=second NodeHostname={host} NodeAddr=127.0.0.1 Port=6919 CPUs=1 RealMemory=6000
PartitionName=pair Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Pair:
    """A cluster of two nodes.

    Attributes
    ----------
    place
        Where its state and its pids lie.
    """

    place: Path

    def asked(self, *words: str) -> str:
        done = subprocess.run(words, env=self.environment(), capture_output=True, text=True)
        return done.stdout

    def environment(self) -> dict[str, str]:
        return environment() | {"SLURM_CONF": str(self.place / "slurm.conf")}

    def lose(self, node: str) -> None:
        """End all that runs on a node, and its slurmd, without a word to anybody."""
        doomed = {int((self.place / f"{node}.pid").read_text())}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"SLURMD_NODENAME={node}\0" in (process / "environ").read_text():
                    # what the job runs, and the slurmstepd above its first process
                    doomed |= {int(process.name), _parent(process)}
            except OSError:
                continue  # ended since it was listed
        for pid in doomed - {1}:
            os.kill(pid, signal.SIGKILL)


def _parent(process: Path) -> int:
    return int((process / "stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    place = tmp_path_factory.mktemp("pair")
    (place / "state").mkdir()
    text = CONFIGURATION.format(host=socket.gethostname().split(".")[0], place=place)
    (place / "slurm.conf").write_text(text)
    found = Pair(place)
    own = {key: value for key, value in found.environment().items() if key != "OMP_NUM_THREADS"}
    for words in (["slurmctld"], ["slurmd", "-N", "first"], ["slurmd", "-N", "second"]):
        program = shutil.which(words[0]) or f"/usr/sbin/{words[0]}"
        subprocess.run([program, *words[1:]], env=own, check=True)
    try:
        ready = wait_until(
            lambda: found.asked("sinfo", "-h", "-t", "idle", "-o", "%D") == "2\n", 60
        )
        if not ready:
            pytest.skip(f"two slurmd cannot run here: {found.asked('sinfo', '-R')}")
        yield found
    finally:
        for name in ("first", "second", "slurmctld"):
            pid = place / f"{name}.pid"
            if pid.is_file() and Path(f"/proc/{pid.read_text().strip()}").is_dir():
                os.kill(int(pid.read_text()), signal.SIGTERM)


def outcome(root: Path) -> dict[str, str]:
    """Hashes of scores, metrics and models of a run."""
    run = tree(root / "out" / "group" / "small")
    models = {name: one for name, one in run.items() if name.endswith(".safetensors")}
    assert sum(bool(re.search(r"fold-\d\.safetensors$", name)) for name in models) == 2
    return models | {name: run[name] for name in ("scores.tsv", "metrics.tsv")}


def test_a_node_that_is_lost_in_the_midst_changes_nothing(pair: Pair, tmp_path: Path) -> None:
    make_study(tmp_path / "study", people=12)
    calm = copy_study(tmp_path / "study", tmp_path / "calm")
    longer = ("--variants", "base", "--set", "training.epochs=40")
    done = subprocess.run(command(*group_arguments(calm, *longer)), env=environment(), check=False)
    assert done.returncode == 0
    shaken = copy_study(tmp_path / "study", tmp_path / "shaken")
    parts = command(*group_arguments(shaken, *longer, *SLURM))
    pipe = subprocess.PIPE
    with subprocess.Popen(
        parts, env=pair.environment(), stdout=pipe, stderr=subprocess.STDOUT, text=True
    ) as app:
        try:
            on_both = ("squeue", "-h", "-t", "running", "-o", "%N")
            assert wait_until(lambda: len(set(pair.asked(*on_both).split())) == 2, 120)
            begun = shaken / "out" / "work"
            assert wait_until(lambda: len([*begun.rglob("checkpoint*")]) == 2, 120)
            job = pair.asked("squeue", "-h", "-w", "second", "-o", "%A").strip()
            pair.lose("second")
            lost = time.monotonic()
            said, _ = app.communicate(timeout=900)
        finally:
            app.kill()
    log = (pair.place / "slurmctld.log").read_text()
    assert app.returncode == 0, said + log
    assert re.search(rf"[Rr]equeu\w+ (job|JobId=){job}\b", log), log
    assert pair.asked("sinfo", "-h", "-n", "second", "-o", "%T").startswith("down"), log
    print(f"\nended {time.monotonic() - lost:.0f} s after the node was lost")
    assert outcome(shaken) == outcome(calm)
