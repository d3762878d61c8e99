"""What was taken down is kept out of whatever is built later, without its being kept: lists of HMACs.

`lists` reads and writes suppression lists, `people` knows how users and hosts are named, `addresses` what addresses say, `rows`
tells which rows of a table a list names, and `kept_out` what is kept of rows that it keeps out.
"""
