"""Questions that go through many events, aggregates or commits. Those about one are in `repo.query`.

revision     refs as people write them               candidates   names that begin so, for completion
scan         aggregates, filtered and sorted         eventscan    events, filtered and sorted
history      commits, chosen from the log            summary      what a commit is about
past         aggregates as they were                 bisect       the first version that a condition holds for
verification many aggregates in few passes over the log
"""
