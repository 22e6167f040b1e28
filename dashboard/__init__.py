"""The live page of one or more runs. Reads run directories; imports only `results` of ours."""
