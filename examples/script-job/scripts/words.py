#!/usr/bin/env python3
"""Counts the words of the item's text. The context is the last argument."""
import json
import sys

context = json.loads(sys.argv[-1])
least = int(sys.argv[sys.argv.index("--at-least") + 1])

with open(context["shardingParameter"], encoding="utf-8") as text:
    words = len(text.read().split())
print(f"item {context['shardingItem']} of {context['shardingTotalCount']} has {words} words")

# Exit status 0 is success. What stands on standard error is part of a failure.
if words < least:
    sys.exit(f"fewer than {least} words")
