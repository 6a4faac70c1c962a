"""The text layer: `.space` text to a checked syntax tree, and back. It knows neither graphs nor tensors.

    reading.read, decode        bytes to a Source
    parser.parse, parsed        a Source to a syntax tree, with every syntax error of the text
    modules.link                a tree with the items of the files that it uses
    check.check                 what is wrong with a tree that can be told without evaluating
    resolve.resolve_settings    the settings of targets, searches and recipes as values
    format.format_source        a text in the house format; format.canonical, the text of a tree
    render.render               diagnostics as text, JSON, SARIF or GitHub's annotations
    codes.CODES                 every diagnostic code, explained
    syntax                      the tree
    labels.labels               what candidates are called
    units                       quantities and their units

Names are imported from these modules, not from here.
"""
