"""Feature networks, by the hook `i2i_features`.

For metrics they have more than feature maps: `embed`, which gives vectors and logits, and `protocol`, which says which
network it is and how it resizes images. The page docs/hooks/i2i_features.md describes both.
"""
