"""Pictures of a graph: as Graphviz' DOT text, rendered, and as plain text. Everything here reads `Graph.nodes` only.

`folding` says what is shown, `numbers`, `thumbnails` and `gates` how it is written; `dot` and `text` write it down, and
`files` saves it.
"""
