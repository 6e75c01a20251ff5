"""Executors that ship with hpocli: local processes and RunPod Serverless."""
