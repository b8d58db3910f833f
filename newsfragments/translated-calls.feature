Calls between different protocols cost about half the CPU in their translation, agents' requests and
tool calls' arguments above all.
