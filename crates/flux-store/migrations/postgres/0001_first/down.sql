DROP TABLE arrival, subscription, inbox, signal, takeover, history, ended_branch, branch, run,
    schedule, definition, failover, member, cluster;
