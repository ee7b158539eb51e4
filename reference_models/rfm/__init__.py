"""Representative forgery mining, a training method that erases the regions a detector relies on (CVPR 2021)."""
