"""The server of a device: it tells a tracker that it is there, and runs what whoever asks for its key sends.

It needs Linux, Python and the package `apache-tvm` alone: `onepath device script` packs this folder for a machine
without Onepath, so its modules import no others of the project.

The protocol is that of TVM 0.27's `tvm.rpc.server`, whose own server ends for good when a session crashes, and
goes on with a session whose client is gone.
"""
