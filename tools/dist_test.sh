#!/usr/bin/env bash
# Tests on several devices: tools/dist_test.sh CONFIG CHECKPOINT [PROCESSES] [options of tools/test.py]
# PROCESSES and several machines: as in dist_train.sh.
. "$(dirname "$0")/launch.sh"
launch test.py 2 "$@"
