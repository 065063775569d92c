"""The transport that people write first, to measure against: blocking, one thread, pickled tensors.

It does what the published backend for split inference is described to do: the first part computes a batch, pickles the
tensor, sends a header with its length and the pickle, and only then takes up the next batch; the second part
reads the header, gathers the pickle by ``data += more``, unpickles, computes.  No part computes while it sends or
receives.  It runs on the same devices as our stages, on the same links, with the same blocks and images and the same
number of threads.

It is spared what would be unfair to hold against it: images lie ready as for our stages, its first batches are
not measured, and blocks are loaded once.  To time a response on one clock, the second part can send its output back.

For the benchmark alone: nothing of ``stage_runtime`` imports it.  Pickles run what they hold, so a part listens on
its data address alone, on virtual devices that the benchmark has made for itself.

``framing`` is how a tensor travels, ``parts`` what the two parts do, ``orders`` what they are told and answer,
``__main__`` the process on a device, which takes orders on its standard input.
"""
