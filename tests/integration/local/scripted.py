"""A trial process that misbehaves on purpose: `python scripted.py <how>`; stands for a broken one."""

import json
import os
import sys
import time


def say(**message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


how = sys.argv[1]
if how == "dies_at_start":
    sys.stderr.write("Traceback\nImportError: no module named tensorfluw\n")
    sys.exit(1)
if how == "killed_at_start":
    os.kill(os.getpid(), 9)
if how == "never_ready":
    sys.stderr.write("still thinking\n")
    sys.stderr.flush()
    time.sleep(1000)
if how == "old_contract":
    say(type="ready", v=0, pid=os.getpid())
    time.sleep(1000)
if how == "slow_start":
    time.sleep(1.0)
say(type="ready", v=1, pid=os.getpid())
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] != "job":
        continue
    key = message["key"]
    say(type="started", key=key)
    if how == "garbage":
        sys.stdout.write("loss: nan\n")
        sys.stdout.flush()
        time.sleep(1000)
    if how == "endless_line":
        while True:
            sys.stdout.write("x" * 65536)
    if how == "hangs_up":
        os.close(1)
        time.sleep(1000)
    if how == "forges":
        say(type="result", key="another/0/0", state="completed", metrics={"value": 1.0})
        time.sleep(1000)
    if how == "echoes":
        say(type="result", key=key, state="completed", metrics={"value": 1.0})
        say(type="stage", key=key, stage="late")
        continue
    say(type="result", key=key, state="completed", metrics={"value": 1.0})
