"""What ``meshctl analyze`` does between reading objects and printing findings (contract 10.analyze)."""
