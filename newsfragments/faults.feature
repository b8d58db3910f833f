`docs/faults.md` says what clients see of each fault, and which clocks and limits there are; `make faults` tries them all on a running aiproxy.
