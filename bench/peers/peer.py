#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The process of a contestant in Python: answers the race's requests one after the other and exits
when its input ends. `lib/bench/peers/protocol.ts` describes requests and answers.

  python3 bench/peers/peer.py openvino | litert
"""
import gc
import json
import resource
import sys
import time

from contestants import CONTESTANTS, NotInstalled

MARK = "@race "


def resident():
    """Resident memory in bytes, after everything unreachable has been collected."""
    gc.collect()
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        # The largest so far, in kilobytes, or in bytes on macOS.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


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
        for _ in range(request["warmUp"]):
            run()
        before = resource.getrusage(resource.RUSAGE_SELF)
        start = now = time.perf_counter()
        times = []
        while (now - start) * 1e3 < request["milliseconds"] or len(times) < request["fewest"]:
            run()
            after = time.perf_counter()
            times.append((after - now) * 1e3)
            now = after
        elapsed = time.perf_counter() - start
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
        return {
            "milliseconds": times,
            "cpuShare": cpu / elapsed,
            "switchesPerSecond": (usage.ru_nivcsw - before.ru_nivcsw) / elapsed,
        }

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
