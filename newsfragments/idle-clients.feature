When there is no room for more connections, a new client takes the place of the one that has kept its connection for longest without a call; only while all are in use do clients wait.
