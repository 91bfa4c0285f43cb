"""What fsck checks, as findings. `domain.check_domain` is the door.

files      identity, refs, manifests, reflogs, what lies about      published  schemas
frames     the frames of one file                                   blocks     the events of one block, by themselves
part       a run of blocks, checked and folded                      parallel   runs on several cores
join       runs put together again                                  chain      commits, one after the other
history    events: versions, trees, roots                           follow     the whole log
derived    index.db against the log                                 staged     staging.jsonl
"""
