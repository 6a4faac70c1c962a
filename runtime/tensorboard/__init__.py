"""TensorBoard, as an adapter: what search and training log, as the event files that TensorBoard shows.

entries   a logged event as numbers and texts; knows nothing of TensorBoard
files     numbers and texts as event files; needs the package, the extra `tensorboard`
follow    the logs of a run folder, now or for as long as they are written
"""
