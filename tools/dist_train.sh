#!/usr/bin/env bash
# Trains on several devices: tools/dist_train.sh CONFIG [PROCESSES] [options of tools/train.py]
# PROCESSES per machine: all visible GPUs where left out, one process where there is none.
# Several machines: NNODES, NODE_RANK, MASTER_ADDR, PORT.
. "$(dirname "$0")/launch.sh"
launch train.py 1 "$@"
