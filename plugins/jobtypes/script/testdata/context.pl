#!/usr/bin/env perl
use strict;
use warnings;

my $context = $ARGV[-1];
die "the last argument differs" unless $context eq $ENV{ELASTICJOB_CONTEXT};
my ($item) = $context =~ /"shardingItem":(\d+)/;
my ($total) = $context =~ /"shardingTotalCount":(\d+)/;
my ($parameter) = $context =~ /"shardingParameter":"([^"]*)"/;
printf "%d: %s: item %d of %d is %s\n", scalar @ARGV, $ARGV[0], $item, $total, $parameter;
