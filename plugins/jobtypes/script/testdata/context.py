#!/usr/bin/env python3
import json, os, sys

context = json.loads(sys.argv[-1])
assert sys.argv[-1] == os.environ["ELASTICJOB_CONTEXT"]
print("%d: %s: item %d of %d is %s" % (
    len(sys.argv) - 1, sys.argv[1], context["shardingItem"], context["shardingTotalCount"], context["shardingParameter"]))
