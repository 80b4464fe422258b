#!/usr/bin/env perl
# Counts the letters of the item's text. Single values of the context are in the
# environment, so that no script has to read JSON.
use strict;
use warnings;

my $ignore = $ENV{IGNORE};
open my $text, '<', $ENV{ELASTICJOB_SHARDING_PARAMETER} or die "opening the text: $!\n";
my $letters = 0;
while (my $line = <$text>) {
    $letters++ while $line =~ /(?![$ignore])[a-z]/gi;
}
print "item $ENV{ELASTICJOB_SHARDING_ITEM} has $letters consonants\n";
