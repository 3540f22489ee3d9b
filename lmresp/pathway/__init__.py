"""The pathway: from call and clinical facts to the branch whose conditions are met, with its evidence (pure)."""
