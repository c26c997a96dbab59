#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The process of a contestant in Python: answers the race's requests one after the other and exits
when its input ends. `lib/bench/peers/protocol.ts` describes requests and answers.

  python3 bench/peers/peer.py openvino | litert
"""
import gc
import json
import os
import sys
import time

from contestants import CONTESTANTS, NotInstalled

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None

MARK = "@race "


def resident():
    """Resident memory in bytes, after everything unreachable has been collected; 0 where Python does not know it."""
    gc.collect()
    if resource is None:
        return 0
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        # The largest so far, in kilobytes, or in bytes on macOS.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def interruptions():
    """How often the system has taken a core away."""
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def queue_times():
    """Nanoseconds that each thread ran, and waited for a core: Linux alone says so."""
    times = {}
    try:
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/schedstat", encoding="ascii") as file:
                ran, waited, _ = file.read().split()
            times[thread] = (int(ran), int(waited))
    except OSError:
        return {}
    return times


def waiting_share(before, after):
    """Of the time that threads wanted a core, the share that they had none."""
    ran = sum(times[0] - before.get(thread, (0, 0))[0] for thread, times in after.items())
    waited = sum(times[1] - before.get(thread, (0, 0))[1] for thread, times in after.items())
    return {"waitingShare": waited / (ran + waited)} if before and ran + waited > 0 else {}


class Host:
    def __init__(self, name):
        self.name = name
        self.contestant = None

    def open(self, request):
        self.contestant = CONTESTANTS[self.name]()
        prepare = getattr(self.contestant, "prepare", None)
        if prepare is not None:
            prepare(request["task"])
        bare = resident()
        start = time.perf_counter()
        version = self.contestant.open(request["task"])
        milliseconds = (time.perf_counter() - start) * 1e3
        return {"version": version, "milliseconds": milliseconds, "bare": bare, "loaded": resident()}

    def answer(self, _request):
        start = time.perf_counter()
        self.contestant.run()
        milliseconds = (time.perf_counter() - start) * 1e3
        return {"values": [float(value) for value in self.contestant.values()], "milliseconds": milliseconds}

    def run(self, request):
        run = self.contestant.run
        ready = time.perf_counter()
        for i in range(request["warmUp"]):
            if i == 0 or (time.perf_counter() - ready) * 1e3 < request["milliseconds"]:
                run()
        queue = queue_times()
        before = interruptions()
        cpu = time.process_time()
        start = now = time.perf_counter()
        times = []
        while (now - start) * 1e3 < request["milliseconds"] or len(times) < request["fewest"]:
            run()
            after = time.perf_counter()
            times.append((after - now) * 1e3)
            now = after
        elapsed = time.perf_counter() - start
        return {
            "milliseconds": times,
            "cpuShare": (time.process_time() - cpu) / elapsed,
            "switchesPerSecond": (interruptions() - before) / elapsed,
            **waiting_share(queue, queue_times()),
        }

    def rest(self, _request):
        for _ in range(30):
            start = time.process_time()
            time.sleep(0.1)
            if time.process_time() - start < 0.025:
                return {"idle": True}
        return {"idle": False}

    def memory(self, _request):
        return {"resident": resident()}


def main():
    host = Host(sys.argv[1])
    # Libraries print to standard output as they please; the race reads marked lines only.
    for line in sys.stdin:
        request = json.loads(line)
        try:
            value = getattr(host, request["method"])(request)
            response = {"id": request["id"], "ok": True, "value": value}
        except NotInstalled as error:
            response = {"id": request["id"], "ok": False, "error": {"message": str(error), "install": error.install}}
        except Exception as error:  # whatever a library raises is the race's to report
            response = {"id": request["id"], "ok": False, "error": {"message": f"{type(error).__name__}: {error}"}}
        print(MARK + json.dumps(response), flush=True)


main()
