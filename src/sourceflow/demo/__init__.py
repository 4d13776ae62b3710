"""The main job as a program: real orders travel through SQS and SNS."""
