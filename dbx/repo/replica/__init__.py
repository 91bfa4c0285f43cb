"""Two copies of a domain: what is handed out, what is taken in, and where they parted.

offer       what a domain gives                     bundlefile   the same as a file
recode      a segment opened or sealed on its way   shelve       commits where nobody is there to take them in
quarantine  where things wait until believed        gather       plain files of a domain elsewhere
receive     taking in: every check, then the ref    vet          the checks of frames, events and commits
judging     the checks of a push against schemas    trim         what is known already is left out
cloning     a domain that is being cloned           diverged     ours committed again on top of theirs
histories   aggregates by themselves                shared       what others have, as far as is remembered
seen        what each remote last showed            remoteconfig the remotes, and the tokens for them
watchstate  what is kept of a watcher
"""
