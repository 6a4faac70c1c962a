"""The language server: what editors ask of `.space` files, over the Language Server Protocol.

    positions       places of the protocol to offsets of a text, and back
    documents       the open texts before those on the disk, and what is known of each
    diagnostics     findings as the protocol has them
    hover, sights   what stands under the cursor, in words
    completion      names and settings that may be typed; signatures of the call around the cursor
    navigation      definitions, references, renaming
    symbols         outline, folding, formatting
    server          the table of requests; needs pygls, the extra `lsp`

The work is done by `dsl` and `compiler`; here it is translated.
"""
