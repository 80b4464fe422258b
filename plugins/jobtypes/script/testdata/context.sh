#!/bin/sh
for last in "$@"; do :; done
[ "$last" = "$ELASTICJOB_CONTEXT" ] || exit 7
echo "$#: $1: item $ELASTICJOB_SHARDING_ITEM of $ELASTICJOB_SHARDING_TOTAL_COUNT is $ELASTICJOB_SHARDING_PARAMETER"
