"""What all packages share: the command line, files and pages.

In the order of a command's work:

==========  =====================================
`cli`       the command-line convention
`options`   options of commands that take a layer
`names`     names that go into generated text
`arrays`    arrays in files
`progress`  a progress bar
`cache`     results of slow tools, kept
`page`      pages and pictures
==========  =====================================
"""
