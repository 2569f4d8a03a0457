"""What Dash tells about itself: logs, metrics, its state to the service manager. Imports no room but domain."""
