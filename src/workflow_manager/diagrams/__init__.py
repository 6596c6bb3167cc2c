"""State machines to look at: as SVG, Mermaid, DOT or text, and what is different between two of them.

``graph_of`` makes the graph of a definition, which the modules beside it draw; all of them are pure, and take any JSON that was
checked to be a state machine or not: what is not shaped as the language asks is left out of the picture.
"""
