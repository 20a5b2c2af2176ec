#!/bin/sh
# Prints how much memory this machine has left, in MiB: more is better.
awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo
