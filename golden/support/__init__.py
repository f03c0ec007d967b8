"""What all packages share: the command line, files and pages.

Each module imports only from those above it:

==========  =====================================
`wrapping`  lines that break between words
`terminal`  what commands say
`tables`    tables that lose nothing
`numbers`   numbers as people write them
`progress`  a bar and a spinner
`cli`       the command-line convention
`options`   options of commands that take a layer
`names`     names that go into generated text
`arrays`    arrays in files
`cache`     results of slow tools, kept
`page`      pages, and pictures inside them
`boxes`     the nodes of pictures of graphs
`graph`     how these are drawn
`drawing`   they as SVG
==========  =====================================
"""
