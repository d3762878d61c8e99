"""Files and commits: what a run writes, how it becomes what readers see, and who may write.

From the bottom up: `storage` (files, on any file system), `versions` (compare and swap), `written` (names that runs write),
`sealed` (files held to the digest in their names), `commits` (`_stage.json`, the protocol), `leftovers`, `lock` (one writer),
`root` (ROOT and its folders), `proposals` (what workers ask the driver to commit), `exchange` (rows that meet in run files).
"""
