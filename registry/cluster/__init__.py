"""How agents find each other and become a cluster: gossip tags, bootstrap, joining and leaving.

Gossip says who is there; Raft decides who votes. Nothing here makes Raft depend on gossip to elect.
"""
