"""Attribution: how much each frame of an item decides the answer, by Captum.

    from merit_interp.attribution.evidence import evidence_metrics

Importing this room loads no torch. It must not know how a recipe was found, nor masking or lens.
"""
