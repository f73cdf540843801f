"""Is a cluster ready for a campaign?"""
