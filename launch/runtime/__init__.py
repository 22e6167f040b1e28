"""What keeps a program of processes alive on one host or many: supervision, hosts, addresses. It knows nothing of what the processes do."""
